// Counts what a limit admitted, by its windows.
//
// VUs share no memory, so each answer is counted under a tag: the number of its window since the
// first that the run saw. `X-RateLimit-Reset` tells windows apart; it is constant within one, and a
// window's length from one to the next. Thresholds on tags must be named before the run, so it names as many as
// it can meet and counts the rest as faults.

import { Counter } from 'k6/metrics';

import { LIMITED, limits } from './answers.js';

const admitted = new Counter('admitted');
const refused = new Counter('refused');
const remainingSum = new Counter('remaining_sum');
const windowsUnforeseen = new Counter('windows_unforeseen');
const limitDiffers = new Counter('limit_differs');

// A run that is late by a window is no fault of the gateway's.
const LATE = 2;

export class Windows {
  // Windows `from` to `from + count - 1` lie wholly under pressure; of those around the run sees parts.
  constructor(limit, seconds, from, count) {
    this.limit = limit;
    this.seconds = seconds;
    this.from = from;
    this.end = from + count;
  }

  thresholds() {
    const all = { windows_unforeseen: ['count==0'], limit_differs: ['count==0'] };
    for (let window = 0; window < this.end + LATE; window += 1) {
      const isWhole = window >= this.from && window < this.end;
      all[`admitted{window:${window}}`] = [`count<=${this.limit}`].concat(isWhole ? [`count>=${this.limit}`] : []);
      if (isWhole) {
        // Without a refusal nobody knows what the limit would have let through.
        all[`refused{window:${window}}`] = ['count>0'];
        // Each number of remaining requests was told once: L-1, L-2, … 0.
        all[`remaining_sum{window:${window}}`] = [`count==${(this.limit * (this.limit - 1)) / 2}`];
      }
    }
    return all;
  }

  // `first` is the Reset of the run's first answer.
  see(answer, first) {
    const { limit, remaining, reset } = limits(answer);
    const isAdmitted = answer.status !== LIMITED;
    const window = (reset - first) / this.seconds;
    if (!Number.isInteger(window) || window < 0 || window >= this.end + LATE) {
      windowsUnforeseen.add(1);
      return;
    }
    limitDiffers.add(limit === this.limit ? 0 : 1);
    const tags = { window: String(window) };
    (isAdmitted ? admitted : refused).add(1, tags);
    if (isAdmitted) {
      remainingSum.add(remaining, tags);
    }
  }
}

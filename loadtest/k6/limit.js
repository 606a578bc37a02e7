// Limit correctness, of one gateway and a limit of the kind `window`: under many connections each
// window admits exactly the limit, tells each remaining number once, and refuses the rest with a
// Retry-After that is enough.
//
// With KEY it takes that key, and LIMIT and WINDOW say what its limit is.

import { sleep } from 'k6';
import { Counter } from 'k6/metrics';

import { borrowKey, giveBack } from './lib/admin.js';
import { ask, LIMITED, limits } from './lib/answers.js';
import { reporter, TREND_STATS } from './lib/report.js';
import { settings } from './lib/settings.js';
import { guarded, thresholds } from './lib/verdicts.js';
import { Windows } from './lib/windows.js';

const limit = settings.number('LIMIT', 200);
const seconds = settings.number('WINDOW', 5);
const count = settings.number('WINDOWS', 5);
const vus = settings.number('VUS', 32);
const windows = new Windows(limit, seconds, 1, count);

// The run begins in the middle of a window, and asks a last time in the one after the last.
const lasts = (count + 1) * seconds;
const PAUSE = 1;

const waitedEnough = new Counter('waited_enough');
const waitedInVain = new Counter('waited_in_vain');

export const options = {
  scenarios: {
    pressing: { executor: 'constant-vus', exec: 'pressing', vus, duration: `${lasts}s`, gracefulStop: '20s' },
    waiting: {
      executor: 'per-vu-iterations', exec: 'waiting', vus: 1, iterations: 1, startTime: `${lasts + PAUSE}s`,
      maxDuration: `${4 * seconds + 30}s`,
    },
  },
  thresholds: thresholds({
    ...windows.thresholds(), waited_enough: ['count==1'], waited_in_vain: ['count==0'],
  }),
  summaryTrendStats: TREND_STATS,
};

export function setup() {
  const lent = borrowKey('limit', { minute: { requests: limit, window: `${seconds}s` } });
  const first = ask(settings.targets[0], lent.key, [200, LIMITED]);
  const { reset } = limits(first);
  windows.see(first, reset);
  return { ...lent, reset };
}

export const pressing = guarded(({ key, reset }) => {
  const answer = ask(settings.targets[0], key, [200, LIMITED]);
  windows.see(answer, reset);
  if (answer.status === LIMITED) {
    // Room for the answers that count; each window still begins under the pressure of all.
    sleep(0.02);
  }
});

// Alone: whoever waits as long as a 429 says gets through. Two windows hold twice the limit at most.
export const waiting = guarded(({ key }) => {
  for (let request = 0; request <= 2 * limit; request += 1) {
    const answer = ask(settings.targets[0], key, [200, LIMITED]);
    if (answer.status === LIMITED) {
      sleep(limits(answer).retryAfter);
      const passed = ask(settings.targets[0], key, [200, LIMITED]).status === 200;
      (passed ? waitedEnough : waitedInVain).add(1);
      return;
    }
  }
});

export function teardown(key) {
  giveBack(key);
}

export const handleSummary = reporter('limit', { limit, window_seconds: seconds, windows: count, vus });

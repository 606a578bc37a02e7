// Spike: one key comes with many times its limit, all at once, while another goes on as ever. The
// flood gets its limit in each window and 429 beyond it; the calm key notices nothing but time.

import { Trend } from 'k6/metrics';

import { giveBack, makeKey, NO_LIMIT } from './lib/admin.js';
import { ask, LIMITED, limits, SHED } from './lib/answers.js';
import { reporter, TREND_STATS } from './lib/report.js';
import { settings } from './lib/settings.js';
import { guarded, thresholds } from './lib/verdicts.js';
import { Windows } from './lib/windows.js';

const limit = settings.number('LIMIT', 100);
const seconds = settings.number('WINDOW', 5);
const count = settings.number('WINDOWS', 3);
const rate = settings.number('RATE', 20);
const flood = settings.number('FLOOD', 300);
const vus = settings.number('VUS', 50);
const BEFORE = 3;
const AFTER = 3;

// The key's first window begins before the run, the flood in a later one: from the one after that it is
// there all the time.
const from = 1 + Math.ceil((BEFORE + 1) / seconds);
const windows = new Windows(limit, seconds, from, count);
const lasts = (from + count) * seconds - BEFORE;

const calmMs = new Trend('calm_ms', true);
const floodMs = new Trend('flood_ms', true);

export const options = {
  scenarios: {
    calm: {
      executor: 'constant-arrival-rate', exec: 'calm', rate, timeUnit: '1s', duration: `${BEFORE + lasts + AFTER}s`,
      preAllocatedVUs: 20, maxVUs: 20, gracefulStop: '20s',
    },
    flood: {
      executor: 'constant-arrival-rate', exec: 'flooding', startTime: `${BEFORE}s`, rate: flood, timeUnit: '1s',
      duration: `${lasts}s`, preAllocatedVUs: vus, maxVUs: vus, gracefulStop: '20s',
    },
  },
  thresholds: thresholds(windows.thresholds()),
  summaryTrendStats: TREND_STATS,
};

export function setup() {
  const floodKey = makeKey('spike, flood', { minute: { requests: limit, window: `${seconds}s` } });
  const first = ask(settings.targets[0], floodKey.key);
  const { reset } = limits(first);
  windows.see(first, reset);
  return { floodKey, calmKey: makeKey('spike, calm', NO_LIMIT), reset };
}

// No 429 and no 503: whoever keeps to its limit is not concerned.
export const calm = guarded(({ calmKey }) => {
  const answer = ask(settings.targets[__ITER % settings.targets.length], calmKey.key);
  calmMs.add(answer.timings.duration);
});

export const flooding = guarded(({ floodKey, reset }) => {
  const answer = ask(settings.targets[0], floodKey.key, [200, LIMITED, SHED]);
  floodMs.add(answer.timings.duration);
  if (answer.status === 200 || answer.status === LIMITED) {
    windows.see(answer, reset);
  }
});

export function teardown({ floodKey, calmKey }) {
  giveBack(floodKey, calmKey);
}

export const handleSummary = reporter('spike', { rate, flood, limit, window_seconds: seconds, windows: count });

// Ramp: open-loop load that rises in steps to RATE requests a second, to see where latency leaves
// the floor. What does not come in time is counted by k6 as `dropped_iterations`, and is no fault:
// how much a machine can is not a question of right and wrong. What the answers hold is.

import { borrowKey, giveBack, NO_LIMIT } from './lib/admin.js';
import { ask, SHED } from './lib/answers.js';
import { reporter, TREND_STATS } from './lib/report.js';
import { settings } from './lib/settings.js';
import { guarded, thresholds } from './lib/verdicts.js';

const rate = settings.number('RATE', 200);
const seconds = settings.number('SECONDS', 60);
const vus = settings.number('VUS', 50);
const STEPS = 5;

// Up quickly, then held, so that each step has figures of its own.
function stages() {
  const each = seconds / STEPS;
  return Array.from({ length: STEPS }, (_, step) => Math.ceil((rate * (step + 1)) / STEPS))
    .flatMap((target) => [
      { target, duration: `${Math.round(each * 200)}ms` },
      { target, duration: `${Math.round(each * 800)}ms` },
    ]);
}

export const options = {
  scenarios: {
    ramp: {
      executor: 'ramping-arrival-rate',
      startRate: Math.ceil(rate / 10),
      timeUnit: '1s',
      preAllocatedVUs: vus,
      maxVUs: vus,
      stages: stages(),
      gracefulStop: '20s',
    },
  },
  thresholds: thresholds(),
  summaryTrendStats: TREND_STATS,
};

export function setup() {
  return borrowKey('ramp', NO_LIMIT);
}

export default guarded(({ key }) => {
  const target = settings.targets[__ITER % settings.targets.length];
  // Above what it can take, a gateway says so: 503 with Retry-After.
  ask(target, key, [200, SHED]);
});

export function teardown(key) {
  giveBack(key);
}

export const handleSummary = reporter('ramp', { rate, vus });

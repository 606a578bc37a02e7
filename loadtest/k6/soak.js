// Soak: a steady rate for long, while keys come and go beside it. What only shows with time shows
// here: memory that grows, connections that go stale, an answer in a million that is cut.

import { sleep } from 'k6';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';

import { borrowKey, giveBack, makeKey, NO_LIMIT, revoke } from './lib/admin.js';
import { ask, bearer, get, REFUSED } from './lib/answers.js';
import { reporter, TREND_STATS } from './lib/report.js';
import { settings } from './lib/settings.js';
import { guarded, thresholds } from './lib/verdicts.js';

const rate = settings.number('RATE', 50);
const seconds = settings.number('SECONDS', 600);
const vus = settings.number('VUS', 20);
const growthMax = settings.number('GROWTH_MIB', 64);
const MIB = 1024 * 1024;

const residentMib = new Trend('resident_mib');
const residentGrowthMib = new Trend('resident_growth_mib');
const keysTurned = new Counter('keys_turned');
const revokedPassed = new Counter('revoked_passed');

const hasAdmin = Boolean(settings.admin && settings.adminToken && settings.account);
const steady = {
  executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${seconds}s`,
  preAllocatedVUs: vus, maxVUs: vus, gracefulStop: '20s',
};
const alone = { executor: 'constant-vus', vus: 1, duration: `${seconds}s`, gracefulStop: '20s' };

export const options = {
  scenarios: {
    steady,
    ...(hasAdmin ? { turning: { ...alone, exec: 'turning' } } : {}),
    ...(settings.telemetry ? { watching: { ...alone, exec: 'watching' } } : {}),
  },
  thresholds: thresholds({
    revoked_passed: ['count==0'],
    ...(hasAdmin ? { keys_turned: ['count>0'] } : {}),
    ...(settings.telemetry ? { resident_growth_mib: [`max<${growthMax}`] } : {}),
  }),
  summaryTrendStats: TREND_STATS,
};

export function setup() {
  const lent = borrowKey('soak', NO_LIMIT);
  // Buffers and caches that the first requests fill are no growth.
  for (let turn = 0; turn < 50; turn += 1) {
    ask(settings.targets[turn % settings.targets.length], lent.key);
  }
  return { ...lent, resident: settings.telemetry ? resident() : 0 };
}

export default guarded(({ key }) => {
  ask(settings.targets[__ITER % settings.targets.length], key);
});

// One key's life, again and again. One VU makes the requests one after the other, so what is asked
// behind the answer to the revocation was sent behind it.
export const turning = guarded(() => {
  const target = settings.targets[0];
  const { key, id } = makeKey('soak, turning', NO_LIMIT);
  ask(target, key);
  if (!revoke(id)) {
    throw new Error(`${id} could not be revoked`);
  }
  const after = get(target.path, bearer(key), [REFUSED]);
  revokedPassed.add(after.status === REFUSED ? 0 : 1);
  keysTurned.add(1);
  sleep(1);
});

export const watching = guarded(() => {
  residentMib.add(resident());
  sleep(2);
});

function resident() {
  const text = http.get(`${settings.telemetry}/metrics`, { tags: { name: 'metrics' } }).body;
  const [, bytes] = text.match(/^process_resident_memory_bytes (\S+)/m);
  return Number(bytes) / MIB;
}

export function teardown(data) {
  if (settings.telemetry) {
    residentGrowthMib.add(Math.max(0, resident() - data.resident));
  }
  giveBack(data);
}

export const handleSummary = reporter('soak', { rate, vus, growth_mib_max: growthMax });

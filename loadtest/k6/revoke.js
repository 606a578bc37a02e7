// Revoke in the middle: a key is under load on kept connections and is revoked. No request that was
// sent after the revocation had been answered may get through, on old connections neither.
//
// VUs share no memory, so none knows in time when the answer came. Each writes down when it sent
// what got through and judges at its end: by then the revoker has left the time of the answer where
// all can read it, as the name of a second key. All times are of the clock of this one k6 process. A
// request's is taken before it is sent and the answer's after it came, so neither errs towards a
// fault that is none.
//
// With KEY and KEY_ID it takes those instead of making a key, for good: KEY_ID is revoked.

import { sleep } from 'k6';
import { Counter, Rate, Trend } from 'k6/metrics';

import { giveBack, makeKey, nameOf, NO_LIMIT, rename, revoke } from './lib/admin.js';
import { ask, REFUSED } from './lib/answers.js';
import { reporter, TREND_STATS } from './lib/report.js';
import { settings } from './lib/settings.js';
import { guarded, thresholds } from './lib/verdicts.js';

const vus = settings.number('VUS', 32);
const before = settings.number('BEFORE', 4);
const after = settings.number('AFTER', 4);
const PATIENCE_MS = 20000;
// Between two refusals: all VUs together stay below what one address may get wrong in a minute, beyond which
// it is told 429 (bounds.failed_authentications).
const PAUSE_S = 0.05;
const ANSWERED = /answered at ([0-9]+)/;

const revokedPassed = new Counter('revoked_passed');
const revocationsAnswered = new Counter('revocations_answered');
const passedBefore = new Rate('vus_passed_before');
const refusedAfter = new Rate('vus_refused_after');
const keptAlive = new Rate('vus_refused_on_a_connection_that_passed');
const vusJudged = new Counter('vus_judged');
const revocationMs = new Trend('revocation_ms', true);

export const options = {
  scenarios: {
    hammering: {
      executor: 'per-vu-iterations', exec: 'hammering', vus, iterations: 1,
      maxDuration: `${before + after + 60}s`,
    },
    revoking: {
      executor: 'per-vu-iterations', exec: 'revoking', vus: 1, iterations: 1, startTime: `${before}s`,
      maxDuration: `${after + 60}s`,
    },
  },
  thresholds: thresholds({
    revoked_passed: ['count==0'],
    revocations_answered: ['count==1'],
    // Each VU has seen both sides, or its silence would be taken for innocence.
    vus_judged: [`count==${vus}`],
    vus_passed_before: ['rate==1'],
    vus_refused_after: ['rate==1'],
    vus_refused_on_a_connection_that_passed: ['rate==1'],
  }),
  summaryTrendStats: TREND_STATS,
};

export function setup() {
  const given = settings.key ? { key: settings.key, id: settings.keyId } : null;
  return { revoked: given || makeKey('revoke', NO_LIMIT), note: makeKey('revoke, note', NO_LIMIT) };
}

export const hammering = guarded(({ revoked, note }) => {
  const passed = [];
  const refused = [];
  let hasPassedHere = false; // on the connection that is open now
  let wasCutOffHere = false; // it passed, and then it was refused
  const ends = Date.now() + (before + after) * 1000;
  while (Date.now() < ends) {
    const sent = Date.now();
    const answer = ask(settings.targets[0], revoked.key, [200, REFUSED]);
    if (answer.timings.connecting > 0) {
      hasPassedHere = false;
    }
    if (answer.status === 200) {
      passed.push(sent);
      hasPassedHere = true;
    } else if (answer.status === REFUSED) {
      refused.push(sent);
      wasCutOffHere = wasCutOffHere || hasPassedHere;
      sleep(PAUSE_S);
    }
  }
  const answered = timeOfTheAnswer(note);
  revokedPassed.add(passed.filter((sent) => sent > answered).length);
  passedBefore.add(passed.some((sent) => sent < answered));
  refusedAfter.add(refused.some((sent) => sent > answered));
  keptAlive.add(wasCutOffHere);
  vusJudged.add(1);
});

function timeOfTheAnswer(note) {
  const deadline = Date.now() + PATIENCE_MS;
  while (Date.now() < deadline) {
    const [, time] = nameOf(note.id).match(ANSWERED) || [];
    if (time) {
      return Number(time);
    }
    sleep(0.2);
  }
  throw new Error('the revoker has left no time');
}

export const revoking = guarded(({ revoked, note }) => {
  const sent = Date.now();
  const isAnswered = revoke(revoked.id);
  const answered = Date.now();
  revocationsAnswered.add(isAnswered ? 1 : 0);
  revocationMs.add(answered - sent);
  rename(note.id, `answered at ${answered}`);
});

export function teardown({ revoked, note }) {
  giveBack(note, ...(settings.key ? [] : [revoked]));
}

export const handleSummary = reporter('revoke', { vus, before_seconds: before, after_seconds: after });

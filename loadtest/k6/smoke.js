// Smoke: a few requests of every kind, each answer judged. Seconds; the first thing to run.

import http from 'k6/http';
import { Counter } from 'k6/metrics';

import { borrowKey, giveBack, NO_LIMIT } from './lib/admin.js';
import { ask, bearer, get, header, judge } from './lib/answers.js';
import { reporter, TREND_STATS } from './lib/report.js';
import { settings } from './lib/settings.js';
import { guarded, thresholds } from './lib/verdicts.js';

const refusalsWrong = new Counter('refusals_wrong');

export const options = {
  scenarios: {
    smoke: { executor: 'per-vu-iterations', vus: 2, iterations: settings.number('ITERATIONS', 5), maxDuration: '1m' },
  },
  thresholds: thresholds({ refusals_wrong: ['count==0'] }),
  summaryTrendStats: TREND_STATS,
};

export function setup() {
  return borrowKey('smoke', NO_LIMIT);
}

export default guarded(({ key }) => {
  for (const target of settings.targets) {
    ask(target, key);
  }
  refusals(key);
});

// What must be refused is: each case is a request and the status and code it gets.
function refusals(key) {
  const target = settings.targets[0];
  const path = target.path.split('?')[0];
  const unknown = key.replace(/[0-9a-f]$/, (digit) => (digit === '0' ? '1' : '0'));
  const cases = [
    ['no key', path, settings.headers, 401, 'missing_api_key'],
    ['an unknown key', path, bearer(unknown), 401, 'invalid_api_key'],
    ['no such path', '/no/such/path', bearer(key), 404, 'not_found'],
  ];
  if (target.hidden.size > 0) {
    cases.push(['a hidden column in the query', `${path}?fields=${[...target.hidden][0]}`, bearer(key), 400, /./]);
  }
  for (const [what, where, headers, status, code] of cases) {
    const answer = get(where, headers, [status]);
    judge(answer, target, [status]);
    told(what, answer, status, code);
    if (status === 401 && header(answer, 'Www-Authenticate') !== 'Bearer') {
      wrong(what, answer, 'WWW-Authenticate is not Bearer');
    }
  }
  const id = 'load-kit.1';
  const named = get(path, { ...bearer(key), 'X-Request-Id': id });
  if (header(named, 'X-Request-Id') !== id) {
    wrong('a request id', named, 'it did not come back');
  }
  // A method that changes nothing, should it be served after all.
  const asked = http.options(settings.base + path, null, {
    headers: bearer(key),
    tags: { name: path },
    responseCallback: http.expectedStatuses(405),
  });
  told('a method that is not served', asked, 405, 'method_not_allowed');
  if (!header(asked, 'Allow')) {
    wrong('a method that is not served', asked, 'no Allow');
  }
}

function told(what, answer, status, code) {
  if (answer.status !== status || !String(codeOf(answer)).match(code)) {
    wrong(what, answer, `not ${status} ${code}`);
  }
}

// In each of the four error styles but `detail`, which has no code.
function codeOf(answer) {
  const { code, error, detail } = answer.json() || {};
  return code || (error && error.code) || error || detail;
}

function wrong(what, answer, why) {
  refusalsWrong.add(1);
  console.error(`refusals_wrong: ${what}: ${why}: ${answer.status} ${answer.body}`);
}

export function teardown(key) {
  giveBack(key);
}

export const handleSummary = reporter('smoke');

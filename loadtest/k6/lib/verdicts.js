// What the runs count, and when that fails them. Every count is judged by a threshold, so a fault
// is an exit code (99), not a line that somebody has to read.

import { Counter } from 'k6/metrics';

const counts = {
  answersGood: new Counter('answers_good'),
  answersLimited: new Counter('answers_limited'),
  answersShed: new Counter('answers_shed'),
  answersUnexpected: new Counter('answers_unexpected'),
  answersCut: new Counter('answers_cut'),
  hiddenShown: new Counter('hidden_shown'),
  limitHeadersWrong: new Counter('limit_headers_wrong'),
  scriptErrors: new Counter('script_errors'),
};

// Holds for every run. The first line is the floor: a run that got nothing has shown nothing.
const always = {
  answers_good: ['count>0'],
  answers_unexpected: ['count==0'],
  answers_cut: ['count==0'],
  hidden_shown: ['count==0'],
  limit_headers_wrong: ['count==0'],
  script_errors: ['count==0'],
};

// Latency fails a run only where somebody who knows the machine says so.
function latency() {
  const most = __ENV.P95_MS;
  return most ? { 'http_req_duration{expected_response:true}': [`p(95)<${most}`] } : {};
}

export function thresholds(more = {}) {
  return { ...always, ...latency(), ...more };
}

// One line a kind and VU is enough to look into; the counters have all of them.
const told = {};

export function fault(counter, what) {
  counts[counter].add(1);
  told[counter] = (told[counter] || 0) + 1;
  if (told[counter] === 1) {
    console.error(`${counter}: ${what}`);
  }
}

export function seen(counter) {
  counts[counter].add(1);
}

// k6 logs what a VU throws and ends the run well all the same; here it fails it.
export function guarded(body) {
  return (data) => {
    try {
      return body(data);
    } catch (error) {
      fault('scriptErrors', String(error));
      throw error;
    }
  };
}

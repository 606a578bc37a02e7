// What is left of a run: one line a threshold on the terminal, and a file where RESULT names one.
//
// The summary that k6 hands over holds what `setup` returned, and that holds keys: only what is
// named here goes on.

import { settings } from './settings.js';

export const TREND_STATS = ['med', 'p(95)', 'p(99)', 'max'];

export function reporter(script, told = {}) {
  return (data) => {
    const verdicts = [];
    const figures = {};
    for (const [name, metric] of Object.entries(data.metrics)) {
      figures[name] = rounded(metric.values);
      for (const [expression, { ok }] of Object.entries(metric.thresholds || {})) {
        verdicts.push({ metric: name, holds: expression, ok });
      }
    }
    verdicts.sort((one, other) => one.ok - other.ok || (one.metric < other.metric ? -1 : 1));
    const failed = verdicts.filter(({ ok }) => !ok);
    const result = {
      script,
      passed: failed.length === 0,
      seconds: Math.round(data.state.testRunDurationMs / 100) / 10,
      ...told,
      failed: failed.map(({ metric, holds }) => `${metric}: ${holds}`),
      thresholds: verdicts.length,
      figures: kept(figures),
    };
    const files = { stdout: text(result, verdicts, figures) };
    if (settings.result) {
      files[settings.result] = `${JSON.stringify(result, null, 1)}\n`;
    }
    return files;
  };
}

function rounded(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Math.round(value * 100) / 100]));
}

// Figures of the connection's parts and of k6 itself say nothing here; of a count the count does.
function kept(figures) {
  const odd = /^(http_req_(blocked|connecting|tls|sending|receiving|waiting|failed)|iteration_|group_|data_|vus$|vus_max|checks)/;
  const names = Object.keys(figures).filter((name) => !odd.test(name)).sort();
  return Object.fromEntries(names.map((name) => {
    const { count, rate } = figures[name];
    return [name, count ?? rate ?? figures[name]];
  }));
}

function text(result, verdicts, figures) {
  const lines = verdicts.map(({ metric, holds, ok }) =>
    `  ${ok ? 'ok    ' : 'FAILED'}  ${metric}  ${holds}  (${JSON.stringify(figures[metric])})`);
  const { med, 'p(95)': p95 } = figures.http_req_duration || {};
  const asked = (figures.http_reqs || {}).count || 0;
  return [
    `${result.script}: ${result.passed ? 'passed' : 'FAILED'}, ${asked} requests in ${result.seconds} s, ` +
      `median ${med} ms, p95 ${p95} ms`,
    ...lines, '',
  ].join('\n');
}

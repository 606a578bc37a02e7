// Asks for a target and judges the answer: whole, nothing hidden in it, limit headers right.

import http from 'k6/http';

import { settings } from './settings.js';
import { fault, seen } from './verdicts.js';

// The statuses that a run may get beside 200, and how each is counted.
export const LIMITED = 429;
export const SHED = 503;
export const REFUSED = 401;

const TIMEOUT = '20s';

export function bearer(key) {
  return { ...settings.headers, Authorization: `Bearer ${key}` };
}

export function get(path, headers, allowed = [200]) {
  return http.get(settings.base + path, {
    headers,
    timeout: TIMEOUT,
    // By its pattern, so that identifiers in paths do not make a time series each.
    tags: { name: path.split('?')[0] },
    responseCallback: http.expectedStatuses(...allowed),
  });
}

// Asks for `target` with `key`. `allowed` are statuses that are no fault in this run.
export function ask(target, key, allowed = [200]) {
  const answer = get(target.path, bearer(key), allowed);
  judge(answer, target, allowed);
  return answer;
}

export function judge(answer, target, allowed = [200]) {
  const where = `${answer.status} of ${target.path}`;
  // Statuses from 400 on have an error code of their own. Below, it is the connection's: k6 leaves
  // the body as far as it came where there was a head, and none where there was nothing.
  if (answer.error_code && !(answer.status >= 400)) {
    const hasBegun = answer.body !== null || /unexpected EOF/.test(answer.error);
    fault(hasBegun ? 'answersCut' : 'answersUnexpected', `${where}: ${answer.error}`);
    hiddenTexts(answer.body || '', where);
    return;
  }
  if (!allowed.includes(answer.status)) {
    fault('answersUnexpected', `${where}: ${String(answer.body).slice(0, 200)}`);
  }
  const body = answer.body || '';
  const length = header(answer, 'Content-Length');
  if (length !== undefined && Number(length) !== utf8Length(body)) {
    fault('answersCut', `${where}: ${utf8Length(body)} bytes where ${length} were promised`);
    return;
  }
  let json;
  try {
    json = JSON.parse(body);
  } catch (error) {
    fault('answersCut', `${where}: not JSON: ${error}`);
    hiddenTexts(body, where);
    return;
  }
  const hidden = hiddenTexts(body, where) || hiddenNames(json, target, where);
  if (answer.status !== REFUSED) {
    limitHeaders(answer, where);
  }
  if (answer.status === 200) {
    if (rowsAreRight(json, target, where) && !hidden) {
      seen('answersGood');
    }
  } else if (answer.status === LIMITED) {
    seen('answersLimited');
  } else if (answer.status === SHED) {
    if (!(wholeNumber(header(answer, 'Retry-After')) >= 1)) {
      fault('answersUnexpected', `${where}: no Retry-After`);
    }
    seen('answersShed');
  }
}

export function header(answer, name) {
  return answer.headers[name];
}

export function wholeNumber(text) {
  return /^[0-9]+$/.test(text || '') ? Number(text) : NaN;
}

// k6 spells header names in Go's canonical form: `X-RateLimit-Limit` is `X-Ratelimit-Limit`.
export function limits(answer) {
  const read = (name) => wholeNumber(header(answer, name));
  return {
    limit: read('X-Ratelimit-Limit'),
    remaining: read('X-Ratelimit-Remaining'),
    reset: read('X-Ratelimit-Reset'),
    retryAfter: read('Retry-After'),
  };
}

// `wholeNumber` takes no sign, so a negative count is NaN and wrong like a missing one.
function limitHeaders(answer, where) {
  const { limit, remaining, reset, retryAfter } = limits(answer);
  const now = Date.now() / 1000;
  const wrong = (what) => fault('limitHeadersWrong', `${where}: ${what}: ${JSON.stringify(answer.headers)}`);
  if (!(limit >= 1 && remaining >= 0 && remaining < limit)) {
    wrong('X-RateLimit-Limit and -Remaining');
  } else if (!(reset > now - 5 && reset < now + 32 * 86400)) {
    wrong('X-RateLimit-Reset');
  } else if (!header(answer, 'Ratelimit') || !header(answer, 'Ratelimit-Policy')) {
    wrong('RateLimit and RateLimit-Policy');
  } else if (/r=-/.test(header(answer, 'Ratelimit'))) {
    wrong('RateLimit is negative');
  } else if (answer.status === LIMITED && !(retryAfter >= 1)) {
    wrong('429 without a Retry-After of 1 or more');
  }
}

function hiddenTexts(body, where) {
  const found = settings.hiddenTexts.find((text) => body.includes(text));
  if (found !== undefined) {
    fault('hiddenShown', `${where}: the text ${JSON.stringify(found)}`);
  }
  return found !== undefined;
}

// Names are compared as parsed, so an escaped spelling is found too, at any depth.
function hiddenNames(json, target, where) {
  const found = nameIn(json, target.hidden) || unlisted(json, target);
  if (found) {
    fault('hiddenShown', `${where}: the column ${found}`);
  }
  return Boolean(found);
}

function nameIn(value, names) {
  if (Array.isArray(value)) {
    for (const element of value) {
      const found = nameIn(element, names);
      if (found) {
        return found;
      }
    }
  } else if (value !== null && typeof value === 'object') {
    for (const name of Object.keys(value)) {
      const found = names.has(name) ? name : nameIn(value[name], names);
      if (found) {
        return found;
      }
    }
  }
  return '';
}

function unlisted(json, target) {
  const rows = target.shown ? rowsOf(json, target) || [] : [];
  for (const row of rows) {
    const name = Object.keys(row).find((member) => !target.shown.has(member));
    if (name !== undefined) {
      return name;
    }
  }
  return '';
}

// `data[]`: rows in an array; `data`: one row; `[]` and `$`: the body itself. As in a route's `rows`.
function rowsOf(json, target) {
  const isList = target.rows.endsWith('[]');
  const path = target.rows.replace(/\[\]$/, '').replace(/^\$$/, '');
  const place = path.split('.').filter((part) => part)
    .reduce((value, part) => (value === null || value === undefined ? undefined : value[part]), json);
  const rows = isList ? place : [place];
  const areRows = Array.isArray(rows) && rows.every((row) => row !== null && typeof row === 'object');
  return areRows ? rows : null;
}

function rowsAreRight(json, target, where) {
  const rows = rowsOf(json, target);
  if (!rows) {
    fault('answersCut', `${where}: no rows at ${target.rows}`);
    return false;
  }
  if (target.count !== undefined && rows.length !== target.count) {
    fault('answersCut', `${where}: ${rows.length} rows where there are ${target.count}`);
    return false;
  }
  return true;
}

// Bytes of a text as it came. A surrogate pair is four bytes, two for each half.
function utf8Length(text) {
  let bytes = text.length;
  const wide = text.match(/[^\x00-\x7f]/g) || [];
  for (const unit of wide.join('').split('')) {
    const code = unit.charCodeAt(0);
    const isHalf = code >= 0xd800 && code <= 0xdfff;
    bytes += code < 0x800 || isHalf ? 1 : 2;
  }
  return bytes;
}

// Keys of a run's own: made by the admin API before it, revoked after it.

import http from 'k6/http';

import { settings } from './settings.js';

// Far above what a run sends, where the limit is not what is looked at.
export const NO_LIMIT = { minute: { requests: 1000000, window: '1m' } };

function call(method, path, body) {
  return http.request(method, `${settings.admin}/admin/v1${path}`, body ? JSON.stringify(body) : null, {
    headers: { Authorization: `Bearer ${settings.adminToken}`, 'Content-Type': 'application/json' },
    timeout: '30s',
    tags: { name: 'admin' },
  });
}

function good(answer, what) {
  if (!(answer.status >= 200 && answer.status < 300)) {
    throw new Error(`${what}: ${answer.status} ${answer.error} ${answer.body}`);
  }
  return answer.json();
}

// The key that was given, or one that is made now: `{ key, id }`; without an id it is not ours.
export function borrowKey(name, limits) {
  return settings.key ? { key: settings.key } : makeKey(name, limits);
}

export function makeKey(name, limits) {
  const body = { ...settings.keyBody, name: `load kit: ${name}`, limits };
  const made = good(call('POST', `/accounts/${settings.account}/keys`, body), `a key for ${name}`);
  return { key: made.key, id: made.id };
}

// True once the admin API has answered that the key is refused from now on.
export function revoke(id) {
  return call('POST', `/keys/${id}/revoke`).status === 200;
}

export function giveBack(...keys) {
  for (const { id } of keys) {
    if (id && !revoke(id)) {
      console.error(`${id} could not be revoked: do it by hand`);
    }
  }
}

export function rename(id, name) {
  good(call('PATCH', `/keys/${id}`, { name }), `renaming ${id}`);
}

export function nameOf(id) {
  return good(call('GET', `/keys/${id}`), `looking up ${id}`).name;
}

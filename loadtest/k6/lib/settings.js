// What a run is told by its environment, read once. Names and defaults: loadtest/README.md.

const environment = __ENV;

function number(name, otherwise) {
  const text = environment[name];
  if (!text) {
    return otherwise;
  }
  const value = Number(text);
  if (!(value > 0)) {
    throw new Error(`${name} is a number above 0, not ${text}`);
  }
  return value;
}

function list(name) {
  return (environment[name] || '').split(',').map((text) => text.trim()).filter((text) => text);
}

function address(name) {
  return (environment[name] || '').replace(/\/$/, '');
}

// A file says more than a variable can: of each target its rows, what they may show, how many.
function targets() {
  const named = environment.TARGETS
    ? JSON.parse(open(environment.TARGETS))
    : { targets: [{ path: environment.TARGET || '/api/calls?limit=100', rows: environment.ROWS || 'data[]' }] };
  const hidden = (named.hidden || []).concat(list('HIDDEN'));
  const texts = (named.hidden_texts || []).concat(list('HIDDEN_TEXTS'));
  const all = named.targets.reduce((sum, target) => sum.concat(target.hidden || []), hidden.concat(texts));
  if (all.length === 0) {
    throw new Error('say what must never show: HIDDEN, HIDDEN_TEXTS or a TARGETS file');
  }
  return {
    hiddenTexts: texts,
    targets: named.targets.map((target) => ({
      path: target.path,
      rows: target.rows,
      count: target.count,
      shown: target.shown ? new Set(target.shown) : null,
      hidden: new Set(hidden.concat(target.hidden || [])),
    })),
  };
}

export const settings = {
  base: address('BASE_URL'),
  admin: address('ADMIN_URL'),
  adminToken: environment.ADMIN_TOKEN || '',
  telemetry: address('TELEMETRY_URL'),
  account: environment.ACCOUNT || '',
  key: environment.KEY || '',
  keyId: environment.KEY_ID || '',
  // Members of the keys that a run makes for itself, beside their name and limits.
  keyBody: JSON.parse(environment.KEY_BODY || '{"scopes": ["calls:read"]}'),
  headers: JSON.parse(environment.HEADERS || '{}'),
  result: environment.RESULT || '',
  number,
  ...targets(),
};

if (!settings.base) {
  throw new Error('BASE_URL is missing: where the gateway answers');
}
if (!settings.key && !(settings.admin && settings.adminToken && settings.account)) {
  throw new Error('give KEY, or ADMIN_URL, ADMIN_TOKEN and ACCOUNT to have keys made');
}

-- Times are Unix milliseconds. Lists are JSON. Digests are `sha256:` or `hmac-sha256:` and 64 digits.
-- `revision` is that of the change which wrote the row last.

-- "Clnd": what tells this file from another program's.
pragma application_id = 1131179620;

create table meta (
    id       integer primary key check (id = 1),
    revision integer not null
) strict;
insert into meta values (1, 0);

create table accounts (
    id                 text primary key,
    name               text not null,
    plan               text not null,
    teams              text check (teams is null or json_valid(teams)),
    live_max           integer,
    columns            text not null check (json_valid(columns)),
    team_columns       text not null check (json_valid(team_columns)),
    assistants         text not null check (json_valid(assistants)),
    assistant_fallback text,
    revision           integer not null,
    -- Of the last change of the account, its users or its keys.
    changed            integer not null
) strict, without rowid;
create index accounts_changed on accounts (changed);

create table users (
    account  text not null references accounts,
    id       text not null,
    email    text,
    active   integer not null check (active in (0, 1)),
    revision integer not null,
    primary key (account, id)
) strict, without rowid;

create table keys (
    id              text not null primary key,
    account         text not null references accounts,
    name            text not null,
    digest          text not null unique,
    display         text not null,
    scopes          text not null check (json_valid(scopes)),
    data_scope      text,
    user_id         text,
    owner           text,
    teams           text check (teams is null or json_valid(teams)),
    created_at      integer not null,
    expires_at      integer,
    revoked_at      integer,
    allowed_ips     text not null check (json_valid(allowed_ips)),
    limits          text check (limits is null or json_valid(limits)),
    raised_limits   text check (raised_limits is null or json_valid(raised_limits)),
    raised_until    integer,
    previous_digest text,
    previous_until  integer,
    revision        integer not null
) strict;
create index keys_account on keys (account, created_at, id);
create index keys_unrevoked on keys (account) where revoked_at is null;
create index keys_revision on keys (revision);
create index keys_previous on keys (previous_digest) where previous_digest is not null;

-- Every digest that a key ever had: a text that was replaced or revoked is nobody's again.
create table digests (
    digest text not null primary key,
    key    text not null references keys
) strict, without rowid;

-- Creations that may be sent again. Never the key's text.
create table retries (
    account text not null,
    token   text not null,
    request text not null,
    key     text not null references keys,
    at      integer not null,
    primary key (account, token)
) strict, without rowid;
create index retries_at on retries (account, at);

-- One row a revision, for good.
create table audit (
    revision   integer primary key,
    at         integer not null,
    author     text not null,
    address    text,
    request_id text,
    action     text not null,
    account    text not null,
    object     text not null,
    before     text,
    after      text
) strict;
create index audit_account on audit (account, revision);
create trigger audit_not_replaced before insert on audit
    when exists (select 1 from audit where revision = new.revision)
    begin select raise(abort, 'audit is only ever added to'); end;
create trigger audit_no_update before update on audit
begin select raise(abort, 'audit is only ever added to'); end;
create trigger audit_no_delete before delete on audit
begin select raise(abort, 'audit is only ever added to'); end;

create table usage_hours (
    key      text not null,
    start    integer not null,
    admitted integer not null,
    limited  integer not null,
    refused  integer not null,
    primary key (key, start)
) strict, without rowid;
create index usage_hours_start on usage_hours (start);

create table usage_days (
    key      text not null,
    start    integer not null,
    admitted integer not null,
    limited  integer not null,
    refused  integer not null,
    primary key (key, start)
) strict, without rowid;
create index usage_days_start on usage_days (start);

create table usage_totals (
    key       text not null primary key,
    admitted  integer not null,
    limited   integer not null,
    refused   integer not null,
    last_used integer not null
) strict, without rowid;

-- Which flushes were added, so that none is added twice.
create table usage_flushes (
    node   text not null,
    number integer not null,
    at     integer not null,
    primary key (node, number)
) strict, without rowid;
create index usage_flushes_at on usage_flushes (at);

create table nodes (
    id       text not null primary key,
    revision integer not null,
    seen_at  integer not null,
    version  text not null
) strict, without rowid;

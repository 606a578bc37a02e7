-- Times are Unix milliseconds. Lists are JSON. Digests are `sha256:` or `hmac-sha256:` and 64 digits.
-- Ids that are listed are ordered by their bytes, as everywhere in this program.
-- `revision` is that of the change which wrote the row last.

create table meta (
    id       bigint primary key check (id = 1),
    revision bigint not null
);
insert into meta values (1, 0);

create table accounts (
    id                 text collate "C" primary key,
    name               text not null,
    plan               text not null,
    teams              text check (teams is null or teams::json is not null),
    live_max           bigint,
    columns            text not null check (columns::json is not null),
    team_columns       text not null check (team_columns::json is not null),
    assistants         text not null check (assistants::json is not null),
    assistant_fallback text,
    revision           bigint not null,
    -- Of the last change of the account, its users or its keys.
    changed            bigint not null
);
create index accounts_changed on accounts (changed);

create table users (
    account  text collate "C" not null references accounts,
    id       text collate "C" not null,
    email    text,
    active   boolean not null,
    revision bigint not null,
    primary key (account, id)
);

create table keys (
    id              text collate "C" not null primary key,
    account         text not null references accounts,
    name            text not null,
    digest          text not null unique,
    display         text not null,
    scopes          text not null check (scopes::json is not null),
    data_scope      text,
    user_id         text,
    owner           text,
    teams           text check (teams is null or teams::json is not null),
    created_at      bigint not null,
    expires_at      bigint,
    revoked_at      bigint,
    allowed_ips     text not null check (allowed_ips::json is not null),
    limits          text check (limits is null or limits::json is not null),
    raised_limits   text check (raised_limits is null or raised_limits::json is not null),
    raised_until    bigint,
    previous_digest text,
    previous_until  bigint,
    revision        bigint not null
);
create index keys_account on keys (account, created_at, id);
create index keys_unrevoked on keys (account) where revoked_at is null;
create index keys_revision on keys (revision);
create index keys_previous on keys (previous_digest) where previous_digest is not null;

-- Every digest that a key ever had: a text that was replaced or revoked is nobody's again.
create table digests (
    digest text not null primary key,
    key    text not null references keys
);

-- Creations that may be sent again. Never the key's text.
create table retries (
    account text not null,
    token   text not null,
    request text not null,
    key     text not null references keys,
    at      bigint not null,
    primary key (account, token)
);
create index retries_at on retries (account, at);

-- One row a revision, for good.
create table audit (
    revision   bigint primary key,
    at         bigint not null,
    author     text not null,
    address    text,
    request_id text,
    action     text not null,
    account    text not null,
    object     text not null,
    before     text,
    after      text
);
create index audit_account on audit (account, revision);
create function audit_is_kept() returns trigger language plpgsql as $$
begin
    raise exception 'audit is only ever added to';
end
$$;
create trigger audit_is_kept before update or delete or truncate on audit
for each statement execute function audit_is_kept();

create table usage_hours (
    key      text not null,
    start    bigint not null,
    admitted bigint not null,
    limited  bigint not null,
    refused  bigint not null,
    primary key (key, start)
) with (fillfactor = 70);
create index usage_hours_start on usage_hours (start);

create table usage_days (
    key      text not null,
    start    bigint not null,
    admitted bigint not null,
    limited  bigint not null,
    refused  bigint not null,
    primary key (key, start)
) with (fillfactor = 70);
create index usage_days_start on usage_days (start);

create table usage_totals (
    key       text not null primary key,
    admitted  bigint not null,
    limited   bigint not null,
    refused   bigint not null,
    last_used bigint not null
) with (fillfactor = 70);

-- Which flushes were added, so that none is added twice.
create table usage_flushes (
    node   text not null,
    number bigint not null,
    at     bigint not null,
    primary key (node, number)
);
create index usage_flushes_at on usage_flushes (at);

create table nodes (
    id       text collate "C" not null primary key,
    revision bigint not null,
    seen_at  bigint not null,
    version  text not null
);

-- messages.tell_many: what happened, for the operator's endpoints: event i is of `types[i]`, about version `versions[i]` of
-- `resources[i]`, and says `data[i]`; its resource's id and version, and its workspace, are put in. In the statement that it is of: one
-- event, and one message for each endpoint that listens to its type now. An event that nobody listens to is not kept.
-- Guarantees: one event per type, resource and version, told again it changes nothing.
-- Locks: none of what is there (endpoints are only read); an endpoint that goes meanwhile is asked for when its message is claimed.
-- Callers: messages.tell, billing.tell_subscriptions
create or replace function messages.tell_many(
  types text[],
  workspace_ids uuid[],
  resources text[],
  versions integer[],
  data jsonb[]
)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_now timestamptz := ops.now();
begin
  with heard as materialized (
    select e.id, e.events from messages.endpoint e where e.disabled_at is null and e.deleted_at is null
  ), told as (
    insert into messages.webhook_event (id, type, workspace_id, resource, resource_version, data, created_at)
    select uuidv7(), t.type, t.workspace_id, t.resource, t.version,
           t.data || jsonb_build_object('id', t.resource, 'version', t.version, 'workspace_id', t.workspace_id), v_now
      from unnest(tell_many.types, tell_many.workspace_ids, tell_many.resources, tell_many.versions, tell_many.data)
           t(type, workspace_id, resource, version, data)
     where exists (select from heard h where h.events && array['*', t.type, split_part(t.type, '.', 1) || '.*'])
     order by t.type, t.resource, t.version
    on conflict on constraint webhook_event_of_version_once do nothing
    returning id, type, workspace_id
  )
  insert into messages.outbox
    (id, channel, kind, workspace_id, dedupe_key, body, state, due_at, created_at, endpoint_id)
  select uuidv7(), 'webhook', t.type, t.workspace_id, t.id || ':' || h.id, jsonb_build_object('event_id', t.id), 'queued', v_now,
         v_now, h.id
    from told t
    join heard h on h.events && array['*', t.type, split_part(t.type, '.', 1) || '.*']
   order by t.id, h.id;
end
$$;

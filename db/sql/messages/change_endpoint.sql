-- messages.change_endpoint: another address, description or choice of types (null: as it is), and whether it is told anything at all.
-- Enabled, or at another address, it begins anew: its failures are forgotten, and its alarms close.
-- Guarantees: an audit row in the same statement. Refuses: not_found (also of one that was deleted).
-- Locks: the endpoint. Callers: worker
create or replace function messages.change_endpoint(
  inout id uuid,
  inout url text,
  inout description text,
  inout events text[],
  enabled boolean,
  caused_by text,
  out disabled_at timestamptz,
  out disabled_reason text,
  out failing_since timestamptz,
  out error text,
  out secret_old_until timestamptz,
  out created_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_anew boolean;
begin
  select change_endpoint.enabled and e.disabled_at is not null or change_endpoint.url <> e.url into v_anew
    from messages.endpoint e
   where e.id = change_endpoint.id and e.deleted_at is null
     for no key update;
  if not found then
    perform ops.refuse('not_found');
  end if;
  update messages.endpoint e
     set url = coalesce(change_endpoint.url, e.url),
         description = coalesce(change_endpoint.description, e.description),
         events = coalesce(change_endpoint.events, e.events),
         disabled_at = case when change_endpoint.enabled then null
           when not change_endpoint.enabled then coalesce(e.disabled_at, ops.now()) else e.disabled_at end,
         disabled_reason = case when change_endpoint.enabled then null
           when not change_endpoint.enabled then coalesce(e.disabled_reason, 'operator') else e.disabled_reason end,
         failures = case when v_anew then 0 else e.failures end,
         open_until = case when not coalesce(v_anew, false) then e.open_until end,
         failing_since = case when not coalesce(v_anew, false) then e.failing_since end,
         error = case when not coalesce(v_anew, false) then e.error end
   where e.id = change_endpoint.id
  returning e.url, e.description, e.events, e.disabled_at, e.disabled_reason, e.failing_since, e.error,
            case when e.secret_old_until > ops.now() then e.secret_old_until end, e.created_at
       into change_endpoint.url, change_endpoint.description, change_endpoint.events, change_endpoint.disabled_at,
            change_endpoint.disabled_reason, change_endpoint.failing_since, change_endpoint.error,
            change_endpoint.secret_old_until, change_endpoint.created_at;
  if v_anew then
    perform ops.close_alarm('endpoint_disabled', change_endpoint.id::text);
  end if;
  if v_anew or not change_endpoint.enabled then
    perform ops.close_alarm('endpoint_failing', change_endpoint.id::text);
  end if;
  perform ops.record_change(
    workspace_id => null, actor => change_endpoint.caused_by, action => 'webhook_endpoint.change',
    subject => 'webhook_endpoint:' || change_endpoint.id,
    detail => jsonb_build_object('url', change_endpoint.url, 'events', change_endpoint.events,
      'enabled', change_endpoint.disabled_at is null));
end
$$;

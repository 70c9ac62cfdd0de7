-- billing.ensure_subscription: the row of a provider's subscription, made if it is not there: nothing is known of it yet, so it
-- is to be fetched. Where another one of the workspace's lives, it is superseded until that one is known to be over.
-- Locks: the caller holds the workspace's row; then the subscription's. Refuses: SQLSTATE TG011 when it is another workspace's.
-- Callers: billing.apply_subscription, billing.renew, billing.note_checkout
create or replace function billing.ensure_subscription(workspace_id uuid, provider_id text)
  returns uuid
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
  v_live uuid;
begin
  select s.id, s.workspace_id into v_row
    from billing.subscription s
   where s.provider_id = ensure_subscription.provider_id
     for no key update;
  if not found then
    select s.id into v_live
      from billing.subscription s
     where s.workspace_id = ensure_subscription.workspace_id and s.ended_at is null and s.superseded_by is null;
    insert into billing.subscription as s
      (id, workspace_id, collection, provider_id, quantity, state, superseded_by, sync_due_at, created_at)
    values
      (uuidv7(), ensure_subscription.workspace_id, 'stripe', ensure_subscription.provider_id, 1, 'incomplete', v_live,
       ops.now(), ops.now())
    returning s.id, s.workspace_id into v_row;
    if v_live is not null then
      -- Is that one really alive? Nobody is cancelled before the provider has said so of both.
      perform billing.mark_sync(v_live);
    end if;
  elsif v_row.workspace_id <> ensure_subscription.workspace_id then
    raise exception using errcode = 'TG011',
      message = format('subscription %s is another workspace''s', ensure_subscription.provider_id);
  end if;
  return v_row.id;
end
$$;

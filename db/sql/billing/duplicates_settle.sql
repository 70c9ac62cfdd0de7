-- billing.duplicates_settle: of two subscriptions of a workspace that were both paid, one is kept. The other is cancelled at the
-- provider and what it took is refunded (outbox), under an alarm: but only when the provider has said of both, since the
-- second was first heard of, that they live. Until then both are to be fetched.
-- Guarantees: once per subscription; each in a subtransaction of its own: one that fails keeps to itself, under an alarm. Whoever has one of the workspaces is not waited for: a
--   sweep that holds some and waits for others would meet another one that goes the other way (B14).
-- Locks: the workspace, then the subscriptions. Callers: worker (sweep duplicates_settle)
create or replace function billing.duplicates_settle(
  batch integer,
  out processed integer,
  out failed integer,
  out more boolean
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_candidate record;
  v_count integer := 0;
begin
  duplicates_settle.processed := 0;
  duplicates_settle.failed := 0;
  perform set_config('lock_timeout', '100ms', true);
  for v_candidate in
    select s.id, s.workspace_id from billing.subscription s
      join billing.subscription k on k.id = s.superseded_by
     where s.superseded_by is not null and s.undone_at is null and s.ended_at is null
       and (s.state <> 'incomplete' and k.state <> 'incomplete'
         or s.synced_at is null and s.sync_due_at is null
         or k.collection = 'stripe' and coalesce(k.synced_at, '-infinity') < s.created_at and k.sync_due_at is null)
     order by s.id
     limit duplicates_settle.batch
  loop
    v_count := v_count + 1;
    begin
      if billing.settle_duplicate(v_candidate.workspace_id, v_candidate.id) then
        duplicates_settle.processed := duplicates_settle.processed + 1;
      end if;
    exception when others then
      if not ops.is_passing(sqlstate) then
        perform ops.raise_alarm('duplicate_failed', v_candidate.id::text,
          jsonb_build_object('sqlstate', sqlstate, 'error', sqlerrm));
      end if;
      duplicates_settle.failed := duplicates_settle.failed + 1;
    end;
  end loop;
  duplicates_settle.more := v_count = duplicates_settle.batch and duplicates_settle.processed > 0;
end
$$;

-- billing.claim_syncs: subscriptions that are to be fetched from the provider, each for one Worker until `lease` has passed (and
-- longer after each try that came to nothing). `generations[i]` is what billing.sync_subscription compares with.
-- Locks: the subscriptions' rows, SKIP LOCKED. Callers: worker
create or replace function billing.claim_syncs(
  batch integer,
  lease interval,
  out ids uuid[],
  out provider_ids text[],
  out generations integer[],
  out asked_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  claim_syncs.ids := '{}';
  claim_syncs.provider_ids := '{}';
  claim_syncs.generations := '{}';
  claim_syncs.asked_at := ops.now();
  for v_row in
    with due as materialized (
      select s.id from billing.subscription s
       where s.sync_due_at <= (select ops.now())
       order by s.sync_due_at, s.id
       limit claim_syncs.batch
         for no key update skip locked
    )
    update billing.subscription s
       set sync_due_at = ops.now() + greatest(claim_syncs.lease,
             least(interval '6 hours', interval '1 minute' * power(2, least(s.sync_attempts, 9)))),
           sync_token = uuidv7(), sync_attempts = s.sync_attempts + 1
      from due
     where s.id = due.id
    returning s.id, s.provider_id, s.version
  loop
    claim_syncs.ids := claim_syncs.ids || v_row.id;
    claim_syncs.provider_ids := claim_syncs.provider_ids || v_row.provider_id;
    claim_syncs.generations := claim_syncs.generations || v_row.version;
  end loop;
end
$$;

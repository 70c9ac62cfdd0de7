-- payments.claim_checks: purchases of which the provider is to be asked (their session's time is over, its payment is on its way,
-- nobody has told us of a session, or money may still come for it), each for one Worker until `lease` has passed. `asked_at`: an
-- answer is as old as its question.
-- Locks: the purchases' rows, SKIP LOCKED. Callers: worker
create or replace function payments.claim_checks(
  batch integer,
  lease interval,
  provider text default 'stripe',
  out ids uuid[],
  out session_ids text[],
  out customer_ids text[],
  out asked_at timestamptz
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  claim_checks.asked_at := ops.now();
  claim_checks.ids := '{}';
  claim_checks.session_ids := '{}';
  claim_checks.customer_ids := '{}';
  for v_row in
    with due as materialized (
      select p.id, p.check_due_at from payments.purchase p
       where p.check_due_at <= (select ops.now()) and p.provider = claim_checks.provider
       order by p.check_due_at, p.id
       limit claim_checks.batch
         for no key update skip locked
    ), claimed as (
      update payments.purchase p set check_due_at = ops.now() + greatest(claim_checks.lease,
               case when p.awaits_payment is null or p.provider = 'btcpay' then interval '10 minutes' else interval '6 hours' end)
        from due
       where p.id = due.id
      returning p.id, p.provider_id, p.workspace_id, p.provider
    )
    select c.id, c.provider_id, c.workspace_id, c.provider from claimed c join due on due.id = c.id order by due.check_due_at, c.id
  loop
    claim_checks.ids := claim_checks.ids || v_row.id;
    claim_checks.session_ids := claim_checks.session_ids || v_row.provider_id;
    claim_checks.customer_ids := claim_checks.customer_ids || (
      select c.provider_id from payments.customer c
       where c.workspace_id = v_row.workspace_id and c.provider = v_row.provider and c.deleted_at is null);
  end loop;
end
$$;

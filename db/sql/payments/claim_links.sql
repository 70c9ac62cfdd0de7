-- payments.claim_links: payment intents of which the provider is to be asked what they paid for, or how they were refunded and
-- disputed, each for one Worker until `lease` has passed (and longer after each try that came to nothing, for three days).
-- Locks: the intents' rows, SKIP LOCKED. Callers: worker
create or replace function payments.claim_links(
  batch integer,
  lease interval,
  out ids text[],
  out payment_ids uuid[]
)
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_row record;
begin
  claim_links.ids := '{}';
  claim_links.payment_ids := '{}';
  for v_row in
    with due as materialized (
      select i.provider, i.id from payments.intent i
       where i.link_due_at <= (select ops.now())
       order by i.link_due_at, i.provider, i.id
       limit claim_links.batch
         for no key update skip locked
    )
    update payments.intent i
       set link_attempts = i.link_attempts + 1, asked_at = ops.now(),
           -- Of another product's on the same account nobody will ever tell us more.
           link_due_at = case when i.link_attempts >= 13 then null
             else ops.now() + greatest(claim_links.lease,
               least(interval '12 hours', interval '1 minute' * power(2, i.link_attempts))) end
      from due
     where i.provider = due.provider and i.id = due.id
    returning i.id, i.payment_id
  loop
    claim_links.ids := claim_links.ids || v_row.id;
    claim_links.payment_ids := claim_links.payment_ids || v_row.payment_id;
  end loop;
end
$$;

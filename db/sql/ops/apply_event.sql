-- ops.apply_event: which routine a fact goes to. Answers in a word what it did. `event` names the cause of what it does.
-- The times of a fact are the provider's, in seconds since 1970.
-- Refuses: SQLSTATE TG011 for a fact of an unknown kind; TG010 (ops.wait_for) for one that came before what it refers to.
-- Callers: ops.attempt_event
create or replace function ops.apply_event(provider text, fact jsonb, event text, occurred_at timestamptz)
  returns text
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_cause text := 'event:' || apply_event.event;
begin
  case apply_event.fact ->> 'kind'
    when 'subscription' then
      return billing.apply_subscription(apply_event.provider, apply_event.fact, apply_event.occurred_at, v_cause);
    when 'invoice' then
      return payments.apply_invoice(apply_event.provider, apply_event.fact, v_cause);
    when 'checkout' then
      return payments.apply_checkout(apply_event.provider, apply_event.fact, v_cause);
    when 'btcpay_invoice' then
      return payments.apply_btcpay_invoice(apply_event.provider, apply_event.fact, v_cause);
    when 'charge' then
      return payments.apply_charge(apply_event.provider, apply_event.fact, v_cause);
    when 'refund' then
      return payments.apply_refund(apply_event.provider, apply_event.fact, v_cause);
    when 'dispute' then
      return payments.apply_dispute(apply_event.provider, apply_event.fact, apply_event.occurred_at, v_cause);
    when 'customer' then
      return payments.apply_customer_deleted(apply_event.provider, apply_event.fact ->> 'customer');
    else
      raise exception using errcode = 'TG011', message = format('no effect is known of %L', apply_event.fact ->> 'kind');
  end case;
end
$$;

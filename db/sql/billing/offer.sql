-- billing.offer: what is sold under this code, in this currency and interval: the newest version, or the one that is named.
-- Refuses: plan_unknown, pack_unknown, price_unknown (not sold so), price_not_published (it is to be paid at
--   the provider, which does not have it yet).
-- Callers: payments' and billing's routines
create or replace function billing.offer(
  plan_code text,
  plan_number integer,
  pack_code text,
  currency text,
  interval_unit text,
  interval_count integer,
  published boolean default true,
  out kind text,
  out plan_id uuid,
  out pack_id uuid,
  out price_id uuid,
  out price_provider_id text,
  out amount_minor bigint,
  out trial_days integer
)
  language plpgsql stable security definer set search_path = ''
as $$
begin
  if offer.plan_code is not null then
    select 'subscription', p.id, p.trial_days into offer.kind, offer.plan_id, offer.trial_days
      from billing.plan p
     where p.code = offer.plan_code and (offer.plan_number is null or p.number = offer.plan_number)
     order by p.number desc
     limit 1;
    if not found then
      perform ops.refuse('plan_unknown');
    end if;
    select r.id, r.provider_id, r.amount_minor into offer.price_id, offer.price_provider_id, offer.amount_minor
      from billing.price r
     where r.plan_id = offer.plan_id and r.currency = offer.currency and r.interval_unit = offer.interval_unit
       and r.interval_count = offer.interval_count;
  else
    select p.kind, p.id, 0 into offer.kind, offer.pack_id, offer.trial_days
      from billing.pack p
     where p.code = offer.pack_code
     order by p.number desc
     limit 1;
    if not found then
      perform ops.refuse('pack_unknown');
    end if;
    select r.id, r.provider_id, r.amount_minor into offer.price_id, offer.price_provider_id, offer.amount_minor
      from billing.price r
     where r.pack_id = offer.pack_id and r.currency = offer.currency;
  end if;
  if offer.price_id is null then
    perform ops.refuse('price_unknown');
  elsif offer.published and offer.price_provider_id is null then
    perform ops.refuse('price_not_published');
  end if;
end
$$;

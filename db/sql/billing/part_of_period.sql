-- billing.part_of_period: how much of its period was left when a change was made, from 0 to 1. Its period is the one that ends with
-- it; one that begins with the change itself (another interval) is whole. Null: no such period is known yet.
-- Callers: billing.give_waiting, billing.upgraded
create or replace function billing.part_of_period(subscription_id uuid, price_id uuid, starts_at timestamptz, ends_at timestamptz)
  returns numeric
  language plpgsql stable security definer set search_path = ''
as $$
declare
  v_began_at timestamptz;
begin
  select r.starts_at into v_began_at
    from billing.renewal r
   where r.subscription_id = part_of_period.subscription_id and r.ends_at = part_of_period.ends_at
     and r.starts_at <= part_of_period.starts_at
     and (r.kind = 'period' or billing.period_after(r.price_id, r.starts_at) = r.ends_at)
   order by r.kind, r.starts_at
   limit 1;
  if v_began_at is null then
    return case when billing.period_after(part_of_period.price_id, part_of_period.starts_at) = part_of_period.ends_at then 1 end;
  end if;
  return coalesce(extract(epoch from part_of_period.ends_at - part_of_period.starts_at)
    / nullif(extract(epoch from part_of_period.ends_at - v_began_at), 0), 0);
end
$$;

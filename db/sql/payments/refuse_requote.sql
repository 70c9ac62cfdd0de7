-- payments.refuse_requote: trigger function: what a purchase was quoted at is never another. Refuses: SQLSTATE TG002 (a fault of
-- ours, never a client's). Callers: triggers
create or replace function payments.refuse_requote()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  raise exception using errcode = 'TG002', message = format('the quote of purchase %s is fixed', old.id);
end
$$;

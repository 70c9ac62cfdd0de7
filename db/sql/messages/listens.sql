-- messages.listens: does any endpoint hear of events of this family (`subscription`, of `subscription.renewed`)? Cheap, and takes no
-- lock: who tells asks it first, so that what nobody hears of costs nothing. Callers: every trigger that tells an event
create or replace function messages.listens(family text)
  returns boolean
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return exists (
    select from messages.endpoint e
     cross join unnest(e.events) heard
     where e.disabled_at is null and e.deleted_at is null
       and (heard = '*' or starts_with(heard, listens.family || '.')));
end
$$;

-- ledger.has_limit: was this account ever given a limit? Callers: billing.follow
create or replace function ledger.has_limit(owner_id uuid, unit text)
  returns boolean
  language plpgsql stable security definer set search_path = ''
as $$
begin
  return exists (
    select from ledger.lot l
     where l.owner_id = has_limit.owner_id and l.unit = has_limit.unit and l.pool = 'limit' and l.closed_at is null);
end
$$;

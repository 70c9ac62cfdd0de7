-- ops.refuse: ends the whole call by a refusal: SQLSTATE TG001, the stable code as message, its members as detail.
-- Guarantees: whatever the statement had done is rolled back; a refusal leaves nothing, not even its request row.
-- Callers: every routine
create or replace function ops.refuse(code text, members jsonb default '{}')
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  raise exception using errcode = 'TG001', message = refuse.code, detail = refuse.members::text;
end
$$;

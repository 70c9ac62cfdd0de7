-- ops.unpark: a parked row went through; its failure is no longer open.
-- Callers: sweeps
create or replace function ops.unpark(sweep text, subject text)
  returns void
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  delete from ops.parked p where p.sweep = unpark.sweep and p.subject = unpark.subject;
  perform ops.close_alarm('row_parked', unpark.sweep || ':' || unpark.subject);
end
$$;

-- ops.report: the Worker saw something that a person must look at, and has nothing to write with it.
-- Two OUT columns: with one, Postgres would answer a scalar and no composite.
-- Callers: worker
create or replace function ops.report(
  inout code text,
  inout subject text,
  detail jsonb
)
  language plpgsql volatile security definer set search_path = ''
as $$
begin
  perform ops.raise_alarm(report.code, report.subject, report.detail);
end
$$;

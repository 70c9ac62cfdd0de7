-- ops.now: the only clock. Real time plus the local stack's offset (zero anywhere else; db:check fails otherwise).
-- It moves during a statement: a guard reads it after its lock wait. A scan compares with (select ops.now()).
-- Callers: worker, every routine
create or replace function ops.now()
  returns timestamptz
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_offset interval;
begin
  select c.clock_offset into v_offset from ops.clock c;
  return clock_timestamp() + v_offset;
end
$$;

-- ops.lifecycle: trigger function of every table whose rows move through states.
-- Guarantees: only moves that stand in ops.transition, whoever writes; every update steps `version` by one.
--   A row is born in a state that '' leads to, with version 1.
-- Refuses: SQLSTATE TG003 (a fault of ours: routines move by a guarded UPDATE and refuse by name themselves).
-- Callers: triggers
create or replace function ops.lifecycle()
  returns trigger
  language plpgsql volatile security definer set search_path = ''
as $$
declare
  v_machine text := tg_table_schema || '.' || tg_table_name;
  v_from text := '';
begin
  if tg_op = 'UPDATE' then
    v_from := old.state;
    new.version := old.version + 1;
    if new.state = old.state then
      return new;
    end if;
  else
    new.version := 1;
  end if;
  if not exists (
    select from ops.transition t
     where t.machine = v_machine and t.from_state = v_from and t.to_state = new.state
  ) then
    raise exception using errcode = 'TG003',
      message = format('%s has no move from %L to %L', v_machine, v_from, new.state);
  end if;
  return new;
end
$$;

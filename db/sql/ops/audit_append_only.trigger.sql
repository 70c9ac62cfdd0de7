-- ops.audit_append_only: audit rows cannot be changed (B9). A statement trigger: it refuses even when no row matches.
create or replace trigger audit_append_only
  before update or delete or truncate on ops.audit
  for each statement execute function ops.append_only();

-- ledger.fillfactor: room on each page for the next version of a row, so that a spend is a HOT update that touches no
-- index, and an early vacuum of the rows that change most.
alter table ledger.account set (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
alter table ledger.lot set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

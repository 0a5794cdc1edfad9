"""The oldest PostgreSQL we support meets every kind of step; with MBAAS_SOAK, every test of migrations."""

# ruff: noqa: F403, F401
from tests.conftest import SOAK
from tests.integration.migrate.test_apply import (
    test_a_new_table_enforces_row_security_and_is_granted_to_nobody,
    test_a_renamed_field_keeps_checks_indexes_and_generated_values_as_they_are,
    test_an_existing_table_is_adopted_and_what_is_not_declared_stays,
    test_dropped_columns_and_tables_come_back_with_their_data,
    test_policies_are_applied_when_they_differ_or_were_tampered_with,
    test_what_a_change_of_type_does_is_what_a_real_server_does,
)
from tests.integration.migrate.test_functions import (
    test_another_signature_takes_the_place_of_the_former_one,
    test_functions_are_read_with_everything_a_call_needs,
    test_what_was_written_is_read_back,
)
from tests.integration.test_postgres_15 import cluster, programs

if SOAK:
    from tests.integration.migrate.test_apply import *
    from tests.integration.migrate.test_beside_others import *
    from tests.integration.migrate.test_functions import *

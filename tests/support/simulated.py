"""Which tests run on the simulated kernel, too, unchanged; and which of those cannot, with the reason.

Blocking peers in threads are part of the simulated world. Whole files are left out that are about what is not
simulated: signals, children, fork, loops in threads, the pollers of the real kernel.
"""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]

FILES = {
    "parity": """
        asyncgens callbacks connections datagrams debug descriptors endings exception_handler
        executors failures held_writes lifecycle names overrides pipes robustness sendfile sock start_tls
        tasks tcp_client
        tcp_server threadsafe tls transports turn_order unix writing
    """,
    "unit/net": "accepting addresses buffers connect datagrams garbage guests listen sendfile serve sockets",
    "unit/tls": "contexts hostile transport",
    "unit/transports": "base datagram flow pipe stream",
}

RUN_SIMULATED = {
    TESTS / folder / f"test_{name}.py" for folder, names in FILES.items() for name in names.split()
}

#: Why a test cannot run on the simulated kernel -> the tests, or tests with parameters.
REASONS = {
    "it asks for real children, or for fork": """
        test_key_updates test_renegotiation test_a_failure_leaves_no_cycle[no such program]
        test_bytes_leave_in_the_order_in_which_they_were_sent test_nothing_overtakes_a_write[by_child]
        test_nothing_overtakes_a_write[by_program] test_nothing_overtakes_a_write[fork]
        test_a_child_that_ends_as_programs_do_sends_nothing_twice test_it_starts_as_the_environment_says
    """,
    "it asks for a FIFO, terminal or file of the real kernel, or puts one under a number": """
        test_a_terminal_can_be_read_and_its_end_is_quiet test_a_terminal_whose_other_side_is_gone_ends_quietly
        test_both_directions_on_one_terminal test_a_fifo_that_is_open_both_ways_is_not_hung_up_by_its_own_data
        test_an_error_of_read_is_reported
        test_a_regular_file_is_refused_where_the_kernel_cannot_watch_it
    """,
    "it uses up or counts the descriptors of the process": """
        test_accepting_without_descriptors_is_reported_and_taken_up_again
        test_connecting_without_descriptors_is_an_error_and_no_more
        test_out_of_descriptors_is_reported_once_and_nobody_is_lost
        test_a_server_closed_while_accepting_rests_stays_closed test_one_descriptor_a_connection
    """,
    "it replaces what the simulation replaces": """
        test_a_factory_that_fails_closes_the_socket_we_made test_every_socket_of_a_failed_attempt_is_closed
        test_an_error_of_accept_that_is_not_about_resources_is_reported
        test_a_file_that_cannot_have_its_mode_is_not_left_behind test_a_lookup_can_be_cancelled
        test_asyncios_timeouts_follow_a_replaced_clock
        test_a_replaced_clock_counts_at_once[in the time module-plain]
        test_a_replaced_clock_counts_at_once[in the time module-debug]
    """,
    "it asks the real kernel: an ioctl, its name service": """
        test_the_end_of_a_record_brings_all_of_it test_getnameinfo_answers_as_the_socket_module
        test_getaddrinfo_of_a_literal_answers_as_the_socket_module[127.1-80-options9]
    """,
    "it waits for real time, or for the garbage of real sockets": """
        test_bytes_that_have_to_wait_are_not_copied
        test_timers_are_not_starved_by_callbacks_that_never_end
        test_timers_are_not_starved_by_io_that_never_ends
        test_64_mib_are_echoed_to_a_slow_reader_intact_and_in_little_memory
    """,
    "a flood out of a thread takes the interpreter from the loop, and the test too long": """
        test_a_flood_on_one_connection_leaves_the_others_their_turn
    """,
    "it has a loop in a thread of its own": """
        test_runs_in_another_thread
    """,
    "the loop of the test is held by its world": """
        test_a_loop_that_nobody_closed_warns
    """,
}

NAME = re.compile(r"test_\w+(?:\[.*?\])?")
EXCEPTIONS = {name: reason for reason, names in REASONS.items() for name in NAME.findall(names)}


def reason_not_to(name: str) -> str | None:
    """Why the test called *name*, with its parameters, does not run on the simulated kernel."""
    plain = name.replace("simulated-", "").replace("[simulated]", "")
    return EXCEPTIONS.get(plain) or EXCEPTIONS.get(name.partition("[")[0])

#pragma once

#include <atomic>

// What the program owes to its surroundings: signals and standard streams.
namespace baton {

// At the start. A pipe that closes and a file that reaches its limit are errors of the call that writes, not signals
// that end the program; a standard stream that was closed stays one that fails, and is no number for the next file
// opened.
void prepare_process();

// True once somebody asked the program to stop: with Ctrl-C, or with one of the signals that kill, hang up, or announce
// the end of a batch job. Before the first call those signals end the program at once; after it, a second Ctrl-C does.
const std::atomic<bool>& stop_on_signals();

// At the end: RunError if something that was printed to standard output did not get there.
void check_output_written();

}  // namespace baton

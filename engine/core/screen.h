#pragma once

#include <cstdint>
#include <string_view>

// stderr as a screen whose last line may be a bar that is drawn over and over. Writing never fails: a log that cannot
// be written (full disk, closed pipe, terminal gone) is no reason to end the work that it tells of.
namespace baton {

void write_to_stderr(std::string_view text);

// Whether stderr is a terminal that can go back to the start of a line and erase it: TERM is set and not "dumb".
bool can_redraw();
// Of the terminal as it is now, as its user may resize it; 80 where that is unknown.
int64_t screen_columns();

// Draws a bar over the one that is there.
void draw_bar(std::string_view line);
// Erases the bar, if there is one, for other text.
void clear_bar();
// Lets the bar stand, if there is one, and goes on below it.
void leave_bar();

}  // namespace baton

// The terminal on standard output.
#pragma once

namespace galvan {

bool stdout_is_terminal();
bool stdout_can_redraw();  // a terminal that can clear a line: TERM=dumb is none
bool stderr_is_terminal();
int terminal_columns();    // 80 where it cannot be found out
bool terminal_has_utf8();  // by the locale's name

}  // namespace galvan

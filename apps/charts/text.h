// Text on charts: UTF-8 measured in characters, escaped for XML, cut to a width.
#pragma once

#include <string>
#include <string_view>

namespace galvan::charts {

// Characters (code points) of UTF-8 text. Bytes that are no UTF-8 count one each.
int display_width(std::string_view text);

// The first `width` characters, the last of them "~" when more were there. Control characters become blanks.
std::string fit(std::string_view text, int width);

// Text as it stands in XML content and in double-quoted attributes. What XML cannot hold becomes "?".
std::string escape_xml(std::string_view text);

}  // namespace galvan::charts

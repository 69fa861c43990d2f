#include "apps/report/page.h"

#include <cstdint>

#include "apps/report/assets.h"
#include "apps/report/figure.h"
#include "apps/text_format.h"
#include "core/check.h"

namespace galvan::report {
namespace {

// By which the page's own script is told from any other. What the page shows decides it, so that the same report is
// the same bytes, and no text that is shown can hold it.
std::string nonce(const std::string& text) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return std::to_string(hash);
}

}  // namespace

std::string page(const std::string& title, const std::string& body, const std::string& clocks) {
  const std::string key = nonce(title + body + clocks);
  return concat(R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-)",
                key, R"('">
<meta name="color-scheme" content="light dark">
<title>)",
                escape(title), R"(</title>
<style>
)",
                kReportStyle, R"(</style>
</head>
<body>
<main>
)",
                body, R"(</main>
<script type="application/json" id="clocks">)",
                script_json(clocks), R"(</script>
<script nonce=")",
                key, R"(">
)",
                kReportScript, R"(</script>
</body>
</html>
)");
}

}  // namespace galvan::report

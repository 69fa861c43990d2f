#include "apps/report/run_facts.h"

#include <set>

#include "apps/report/figure.h"
#include "apps/text_format.h"
#include "apps/toml_file.h"
#include "core/check.h"

namespace galvan::report {
namespace {

std::string shown(const std::optional<SettingValue>& value) {
  if (!value) return "-";
  const std::string* text = std::get_if<std::string>(&*value);
  return text ? *text : toml_text(*value);
}

// A row a name, a column a run. Of several runs, what differs comes first.
template <class Value>
std::string comparison(const std::vector<Run>& runs, const std::set<std::string>& names, const Value& value) {
  std::string html = "<div class=\"wide\"><table><thead><tr><th></th>", differing, same;
  for (const Run& run : runs) html += "<th>" + escape(runs.size() == 1 ? "" : run.name) + "</th>";
  for (const std::string& name : names) {
    std::string cells;
    std::set<std::string> values;
    for (const Run& run : runs) {
      values.insert(value(run, name));
      cells += "<td class=\"wrap\">" + escape(value(run, name)) + "</td>";
    }
    (values.size() > 1 ? differing : same) +=
        concat(values.size() > 1 ? "<tr class=\"differs\"><th>" : "<tr><th>", escape(name), "</th>", cells,
               "</tr>\n");
  }
  return html + "</tr></thead><tbody>\n" + differing + same + "</tbody></table></div>\n";
}

}  // namespace

std::string configuration(const std::vector<Run>& runs) {
  std::set<std::string> names;
  for (const Run& run : runs)
    for (const auto& [name, value] : run.options) names.insert(name);
  if (names.empty()) return "";
  return "<h2>Configuration</h2>\n" + comparison(runs, names, [](const Run& run, const std::string& name) {
           return shown(run.option(name));
         });
}

std::string commands_and_machines(const std::vector<Run>& runs) {
  std::string html;
  for (const Run& run : runs) {
    for (const Session& session : run.sessions) {
      std::string command, rows;
      for (const auto& [name, value] : session.facts)
        if (name == "command")
          command = value;
        else
          rows += "<tr><th>" + escape(name) + "</th><td class=\"wrap\">" + escape(value) + "</td></tr>\n";
      std::string heading = runs.size() > 1 ? run.name : "";
      if (run.sessions.size() > 1)
        heading += concat(heading.empty() ? "" : ": ",
                          session.step == 0 ? std::string("from the beginning")
                                            : "resumed after step " + with_commas(session.step));
      html += concat("<section>", heading.empty() ? "" : "<h3>" + escape(heading) + "</h3>\n", "<pre>",
                     escape(command), "</pre>\n<div class=\"wide\"><table><tbody>", rows,
                     "</tbody></table></div></section>\n");
    }
  }
  return html.empty() ? "" : "<h2>Command, versions, machine</h2>\n" + html;
}

}  // namespace galvan::report

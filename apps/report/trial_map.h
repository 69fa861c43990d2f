// What the pictures of a study share: trials by how good they were, and parameters as places between 0 and 1.
#pragma once

#include <string>
#include <vector>

#include "apps/report/study_page.h"

namespace galvan::report {

// Trials that have a value, by the number of better ones: 1 for the best, 0 for the worst. Others have none.
std::vector<std::optional<double>> goodness(const StudyData& study);

// Where a parameter's values lie between the least and the largest that a trial had, in the logarithm where it is
// logarithmic; the choices lie in the middles of equal parts.
class Scale {
 public:
  Scale(const StudyData& study, size_t parameter);
  double at(double value) const;
  // What to write at the ends, or at each choice.
  std::vector<std::pair<double, std::string>> labels() const;

 private:
  const StudyParameter& parameter_;
  double low_, high_;
};

// The mean goodness of the trials near a place, those half a tenth of the range away counting 0.88 of one that is
// there (a Gaussian of a tenth); none where no trial is near. `at` holds each trial's place, or is empty for those
// that have none.
std::optional<double> mean_near(const std::vector<std::vector<double>>& at,
                                const std::vector<std::optional<double>>& good,
                                const std::vector<double>& place);

// The parameters, those first along which the mean goodness near a trial varies most. It says where to look first, not
// how much a parameter matters.
std::vector<size_t> by_sway(const StudyData& study);

// "trial 7, finished: 1.9312; lr 0.01, momentum 0.9"
std::string describe(const StudyData& study, const TrialData& trial);
std::string value_text(const StudyParameter& parameter, const std::optional<double>& value);

// The two pictures that are drawings of their own, as <svg> elements.
std::string parallel_coordinates(const StudyData& study);
std::string contour(const StudyData& study, size_t across, size_t up);

}  // namespace galvan::report

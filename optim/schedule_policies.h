// The formulas and checks behind Schedule, one overload a policy. Users want optim/schedule.h.
#pragma once

#include "optim/schedule.h"

namespace galvan {

// The value after k >= 0 updates.
ScheduleValue value_at(const FixedLR&, int64_t k);
ScheduleValue value_at(const StepLR&, int64_t k);
ScheduleValue value_at(const ExponentialLR&, int64_t k);
ScheduleValue value_at(const CosineAnnealingLR&, int64_t k);
ScheduleValue value_at(const CosineWarmupLR&, int64_t k);
ScheduleValue value_at(const CyclicLR&, int64_t k);
ScheduleValue value_at(const OneCycleLR&, int64_t k);
ScheduleValue value_at(const SequentialLR&, int64_t k);

// Throws galvan::Error when the options make no sense.
void validate_policy(const FixedLR&);
void validate_policy(const StepLR&);
void validate_policy(const ExponentialLR&);
void validate_policy(const CosineAnnealingLR&);
void validate_policy(const CosineWarmupLR&);
void validate_policy(const CyclicLR&);
void validate_policy(const OneCycleLR&);
void validate_policy(const SequentialLR&);

constexpr std::string_view policy_name(const FixedLR&) { return "FixedLR"; }
constexpr std::string_view policy_name(const StepLR&) { return "StepLR"; }
constexpr std::string_view policy_name(const ExponentialLR&) { return "ExponentialLR"; }
constexpr std::string_view policy_name(const CosineAnnealingLR&) { return "CosineAnnealingLR"; }
constexpr std::string_view policy_name(const CosineWarmupLR&) { return "CosineWarmupLR"; }
constexpr std::string_view policy_name(const CyclicLR&) { return "CyclicLR"; }
constexpr std::string_view policy_name(const OneCycleLR&) { return "OneCycleLR"; }
constexpr std::string_view policy_name(const SequentialLR&) { return "SequentialLR"; }

// total_steps, or epochs * steps_per_epoch.
int64_t total_steps(const OneCycleLR&);

}  // namespace galvan

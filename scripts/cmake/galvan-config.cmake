# What find_package(galvan) reads: the targets galvan::core, galvan::optim and galvan::models.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(nlohmann_json 3)
include("${CMAKE_CURRENT_LIST_DIR}/galvan-targets.cmake")

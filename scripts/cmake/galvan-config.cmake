# What find_package(galvan) reads: the targets galvan::core, galvan::optim and galvan::models.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include("${CMAKE_CURRENT_LIST_DIR}/galvan-targets.cmake")

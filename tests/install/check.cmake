# Installs Galvan into an empty folder, builds the project beside this file against it, runs its program, and sees
# that the program trains. The README quotes the program; the quotation must be exact.
#
#   cmake -D BUILD_DIR=... -D COMPILER=... -D GENERATOR=... -D FLAGS=... -P check.cmake
set(project ${CMAKE_CURRENT_LIST_DIR})
set(scratch ${BUILD_DIR}/install-test)
file(REMOVE_RECURSE ${scratch})

execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${scratch}/prefix
                OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} -S ${project} -B ${scratch}/build -G ${GENERATOR}
                        -D CMAKE_BUILD_TYPE=Release -D CMAKE_CXX_COMPILER=${COMPILER} "-DCMAKE_CXX_FLAGS=${FLAGS}"
                        -D CMAKE_PREFIX_PATH=${scratch}/prefix -D CMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build ${scratch}/build COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${scratch}/build/train OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
message("${output}")
if(NOT output MATCHES "She sells sea shells by the sea shore")
  message(FATAL_ERROR "the program did not learn its sentence")
endif()

file(READ ${project}/main.cpp program)
file(READ ${project}/../../README.md readme)
string(FIND "${readme}" "```cpp\n${program}```\n" at)
if(at EQUAL -1)
  message(FATAL_ERROR "README.md does not quote tests/install/main.cpp as it is")
endif()

# cmake -D SOURCE=... -D OUTPUT=... -P write-commit.cmake: a source file with the commit that SOURCE is at; untouched where
# it says so already, so that nothing is compiled again for it.
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=10 --exclude=*
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit "not known")
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT
     "#include \"apps/machine.h\"\n\nconst char* galvan::commit() { return \"@commit@\"; }\n")

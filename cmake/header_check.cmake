# Each public header compiles alone: one generated source per header, compiled and thrown away.

file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/include/*.hpp)
set(checks)
foreach(header ${headers})
    string(REPLACE "/" "_" stem ${header})
    set(source ${CMAKE_BINARY_DIR}/header_check/${stem}.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "#include <${header}>\n")
    list(APPEND checks ${source})
endforeach()
add_library(header_check OBJECT ${checks})
target_include_directories(header_check PRIVATE ${CMAKE_SOURCE_DIR}/include)
target_link_libraries(header_check PRIVATE fmt::fmt)

# The showcase's pages: npm ci once, the bundle when a source changed, then one generated C++ source.
# Needs the network only for npm ci; after that a build works without it.

find_program(NODE node REQUIRED)
find_program(NPM npm REQUIRED)
find_package(Python3 REQUIRED COMPONENTS Interpreter)

set(js ${CMAKE_SOURCE_DIR}/js)
set(pages_out ${CMAKE_CURRENT_BINARY_DIR}/pages)
# npm writes this file last, so it is the stamp of a finished installation, shared by all presets.
set(npm_stamp ${js}/node_modules/.package-lock.json)

add_custom_command(OUTPUT ${npm_stamp}
    COMMAND ${NPM} ci --no-audit --no-fund --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch ${npm_stamp}
    WORKING_DIRECTORY ${js}
    DEPENDS ${js}/package.json ${js}/package-lock.json
    COMMENT "Installing the packages of js/ (npm ci)"
    VERBATIM)

file(GLOB_RECURSE page_sources CONFIGURE_DEPENDS ${js}/src/*.ts ${CMAKE_SOURCE_DIR}/showcase/*.ts ${CMAKE_SOURCE_DIR}/showcase/*.tsx
    ${CMAKE_SOURCE_DIR}/showcase/*.css ${CMAKE_SOURCE_DIR}/showcase/*.html ${CMAKE_SOURCE_DIR}/showcase/*.svg)

add_custom_command(OUTPUT ${pages_out}.cpp
    COMMAND ${NODE} ${js}/build.mjs --out ${pages_out}
    COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tools/embed_assets.py ${pages_out} ${pages_out}.cpp
    DEPENDS ${npm_stamp} ${js}/build.mjs ${CMAKE_SOURCE_DIR}/tools/embed_assets.py ${page_sources}
    COMMENT "Bundling and embedding the pages"
    VERBATIM)

add_library(showcase_pages STATIC ${pages_out}.cpp)
target_include_directories(showcase_pages PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(showcase_pages PUBLIC carillon_base)

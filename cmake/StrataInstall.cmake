# What `cmake --install` puts where: the program with its modules and its shell completions
# (component program), licence and docs (component docs).
include(GNUInstallDirs)

# The program writes its own completions, from the same table that its options come from.
function(strata_install_completion shell file folder)
  set(written ${CMAKE_BINARY_DIR}/generated/completions/${file})
  install(CODE "
    execute_process(COMMAND \"$<TARGET_FILE:strata>\" completion ${shell}
                    OUTPUT_FILE \"${written}\" RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR \"strata completion ${shell}: \${failed}\")
    endif()" COMPONENT program)
  install(FILES ${written} DESTINATION ${CMAKE_INSTALL_DATADIR}/${folder} COMPONENT program)
endfunction()

if(TARGET strata)
  install(TARGETS strata RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
  if(NOT CMAKE_CROSSCOMPILING)
    file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/generated/completions)
    strata_install_completion(bash strata bash-completion/completions)
    strata_install_completion(zsh _strata zsh/site-functions)
    strata_install_completion(fish strata.fish fish/vendor_completions.d)
  endif()
endif()
if(TARGET strata_hip)
  install(TARGETS strata_hip LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/strata COMPONENT program)
  # HIP of /opt/rocm is where the system's linker does not look.
  set_target_properties(strata_hip PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
endif()
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/README.md
        DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT docs)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT docs
        FILES_MATCHING PATTERN "*.md")

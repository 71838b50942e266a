#include <fmt/format.h>

#include "apps/cli/help.h"
#include "runtime/core/error.h"

namespace strata::cli {
namespace {

// The words of a list, for a shell script.
template <class List>
std::string words(const List& list) {
  return fmt::format("{}", fmt::join(list, " "));
}

std::string command_names() {
  std::vector<std::string_view> names;
  for (const CommandInfo& info : commands()) names.push_back(info.name);
  return words(names);
}

// `text` between single quotes, as bash, zsh and (but for the quote itself) fish read it.
std::string quoted(std::string_view text) {
  std::string result = "'";
  for (char c : text) {
    if (c == '\'')
      result += "'\\''";
    else
      result += c;
  }
  return result + "'";
}

// Patterns of a shell `case`: "-m|--model".
std::string pattern(const OptionInfo& option) {
  return fmt::format("{}", fmt::join(option.names, "|"));
}

bool takes_value(const OptionInfo& option) { return option.kind != ValueKind::flag; }

bool takes_file(const OptionInfo& option) {
  return option.kind == ValueKind::path || option.kind == ValueKind::paths;
}

bool takes_models(const CommandInfo& info) { return info.positional.starts_with("[MODEL"); }

// What bash offers for the word after an option of `command`.
std::string bash_values(Command command) {
  std::string text;
  for (const OptionInfo& option : options()) {
    if (!option.taken_by(command) || !takes_value(option)) continue;
    if (takes_file(option))
      text += fmt::format(
          "        {}) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")) ;;\n",
          pattern(option));
    else
      text += fmt::format("        {}) COMPREPLY=($(compgen -W {} -- \"$word\")) ;;\n",
                          pattern(option), quoted(words(option.choices)));
  }
  return text;
}

std::string positional_words(const CommandInfo& info) {
  if (info.command == Command::completion) return "bash zsh fish";
  return info.command == Command::help ? command_names() : "";
}

std::string bash_command(const CommandInfo& info) {
  std::vector<std::string_view> names;
  for (const OptionInfo& option : options()) {
    if (!option.taken_by(info.command)) continue;
    names.insert(names.end(), option.names.begin(), option.names.end());
    names.insert(names.end(), option.off_names.begin(), option.off_names.end());
  }
  std::string text = fmt::format("    {})\n      case \"$before\" in\n", info.name);
  text += bash_values(info.command);
  const std::string other = takes_models(info)
                                ? "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\"))"
                                : fmt::format("COMPREPLY=($(compgen -W {} -- \"$word\"))",
                                              quoted(positional_words(info)));
  text += fmt::format(
      "        *) if [[ $word == -* ]]; then COMPREPLY=($(compgen -W {} -- \"$word\"))\n"
      "           else {}; fi ;;\n      esac ;;\n",
      quoted(words(names)), other);
  return text;
}

std::string bash_script() {
  std::string text =
      "# bash completion of strata: source <(strata completion bash)\n"
      "_strata() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  COMPREPLY=()\n"
      "  if ((COMP_CWORD == 1)); then\n";
  text += fmt::format("    COMPREPLY=($(compgen -W {} -- \"$word\"))\n    return\n  fi\n",
                      quoted(command_names() + " --help --version"));
  text += "  case \"${COMP_WORDS[1]}\" in\n";
  for (const CommandInfo& info : commands()) text += bash_command(info);
  return text + "  esac\n}\ncomplete -F _strata strata\n";
}

// zsh's _arguments gives the characters : [ ] a meaning in a description.
std::string zsh_text(std::string_view text) {
  std::string result;
  for (char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') result += '\\';
    result += c;
  }
  return result;
}

std::string zsh_action(const OptionInfo& option) {
  if (!takes_value(option)) return "";
  if (takes_file(option)) return ":file:_files";
  if (has_choices(option.kind)) return fmt::format(":value:({})", words(option.choices));
  return fmt::format(":{}:", zsh_text(option.metavar));
}

std::string zsh_command(const CommandInfo& info) {
  std::string text = fmt::format("    {})\n      _arguments \\\n", info.name);
  for (const OptionInfo& option : options()) {
    if (!option.taken_by(info.command)) continue;
    const std::string rest = fmt::format("[{}]{}", zsh_text(option.help), zsh_action(option));
    for (std::string_view name : option.names)
      text += fmt::format("        {} \\\n", quoted(fmt::format("*{}{}", name, rest)));
    for (std::string_view name : option.off_names)
      text += fmt::format("        {} \\\n",
                          quoted(fmt::format("*{}[not: {}]", name, zsh_text(option.help))));
  }
  const std::string action =
      takes_models(info) ? "_files" : fmt::format("({})", positional_words(info));
  return text + fmt::format("        {} ;;\n", quoted("*:argument:" + action));
}

std::string zsh_script() {
  std::string text =
      "#compdef strata\n"
      "# zsh completion of strata: strata completion zsh > a folder of fpath, as _strata\n"
      "_strata() {\n"
      "  if ((CURRENT == 2)); then\n";
  text += fmt::format("    compadd -- {} --help --version\n    return\n  fi\n", command_names());
  text += "  local command=$words[2]\n  shift words\n  ((CURRENT--))\n  case $command in\n";
  for (const CommandInfo& info : commands()) text += zsh_command(info);
  return text +
         "  esac\n}\n"
         "if [[ $funcstack[1] == _strata ]]; then _strata \"$@\"; else compdef _strata strata; "
         "fi\n";
}

// "-s m", "-o ctk" or "-l model": fish's names for the three forms of options.
std::string fish_name(std::string_view name) {
  if (name.starts_with("--")) return fmt::format(" -l {}", name.substr(2));
  return fmt::format(" -{} {}", name.size() == 2 ? 's' : 'o', name.substr(1));
}

std::string fish_text(std::string_view text) {
  std::string result = "'";
  for (char c : text) {
    if (c == '\'' || c == '\\') result += '\\';
    result += c;
  }
  return result + "'";
}

std::string fish_option(std::string_view command, const OptionInfo& option) {
  const std::string start =
      fmt::format("complete -c strata -n '__fish_seen_subcommand_from {}'", command);
  std::string line = start;
  for (std::string_view name : option.names) line += fish_name(name);
  if (takes_file(option))
    line += " -r -F";
  else if (has_choices(option.kind))
    line += fmt::format(" -x -a '{}'", words(option.choices));
  else if (takes_value(option))
    line += " -x";
  line += fmt::format(" -d {}\n", fish_text(option.help));
  for (std::string_view name : option.off_names)
    line += fmt::format("{}{} -d {}\n", start, fish_name(name),
                        fish_text(fmt::format("not: {}", option.help)));
  return line;
}

std::string fish_script() {
  std::string text =
      "# fish completion of strata: strata completion fish | source\n"
      "complete -c strata -f\n";
  for (const CommandInfo& info : commands()) {
    text += fmt::format("complete -c strata -n __fish_use_subcommand -a {} -d {}\n", info.name,
                        fish_text(info.summary));
    const std::string seen =
        fmt::format("complete -c strata -n '__fish_seen_subcommand_from {}'", info.name);
    if (takes_models(info))
      text += seen + " -F\n";
    else if (!info.positional.empty())
      text += fmt::format("{} -a '{}'\n", seen, positional_words(info));
    for (const OptionInfo& option : options())
      if (option.taken_by(info.command)) text += fish_option(info.name, option);
  }
  return text;
}

}  // namespace

std::string completion_script(std::string_view shell) {
  if (shell == "bash") return bash_script();
  if (shell == "zsh") return zsh_script();
  if (shell == "fish") return fish_script();
  throw Error(ErrorCode::usage, shell.empty() ? "completion" : std::string(shell),
              shell.empty() ? "the name of a shell is missing" : "not a shell that is known here",
              "use one of bash, zsh, fish");
}

}  // namespace strata::cli

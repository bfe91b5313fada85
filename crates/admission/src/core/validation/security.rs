//! Security contexts of containers and Pods, and what the operating system of a Pod rules out.

use std::collections::BTreeSet;

use super::fields::all_containers;
use super::paths::validate_local_descending_path;
use crate::field::{At, Causes, Shown};
use crate::primitives::names;
use crate::schema;

const PROFILES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

/// `ValidateSecurityContext`. `host_users`: whether the Pod has the user namespace of its node.
pub(crate) fn validate_security_context(context: &At<'_>, host_users: bool, causes: &mut Causes) {
    if !context.is_set() {
        return;
    }
    validate_ids(context, &["runAsUser", "runAsGroup"], causes);
    let proc = context.at("procMount");
    if let Some(kind) = proc.text_if_set() {
        if !matches!(kind, "Default" | "Unmasked") {
            causes.not_supported(&proc, kind, &["Default", "Unmasked"]);
        }
        if host_users && kind == "Unmasked" {
            causes.invalid(&proc, kind, "`hostUsers` must be false to use `Unmasked`");
        }
    }
    validate_seccomp_profile_field(&context.at("seccompProfile"), causes);
    if context.at("allowPrivilegeEscalation").value() == false {
        let shown = || schema::go_json("SecurityContext", context.value());
        if context.at("privileged").is_true() {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            causes.invalid(context, shown(), why);
        }
        for capability in context.at("capabilities.add").items() {
            if capability.text() == "CAP_SYS_ADMIN" {
                let why =
                    "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
                causes.invalid(context, shown(), why);
            }
        }
    }
    validate_windows_options(&context.at("windowsOptions"), causes);
    validate_app_armor_profile_field(&context.at("appArmorProfile"), causes);
}

fn validate_ids(context: &At<'_>, fields: &[&'static str], causes: &mut Causes) {
    for field in fields.iter().map(|field| context.at(field)) {
        if let Some(id) = field.number_if_set() {
            for fault in names::user_id(id) {
                causes.invalid(&field, id, &fault);
            }
        }
    }
}

/// `validatePodSpecSecurityContext`. What the internal type has there besides is in the spec of the Pod.
pub(crate) fn validate_pod_spec_security_context(spec: &At<'_>, causes: &mut Causes) {
    let context = spec.at("securityContext");
    validate_ids(&context, &["fsGroup", "runAsUser", "runAsGroup"], causes);
    for group in context.at("supplementalGroups").items() {
        for fault in names::user_id(group.number()) {
            causes.invalid(&group, group.number(), &fault);
        }
    }
    if spec.at("shareProcessNamespace").is_true() && spec.at("hostPID").is_true() {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        causes.invalid(&context.at("shareProcessNamespace"), true, why);
    }
    validate_sysctls(spec, &context.at("sysctls"), causes);
    validate_choice(&context.at("fsGroupChangePolicy"), &["Always", "OnRootMismatch"], causes);
    validate_seccomp_profile_field(&context.at("seccompProfile"), causes);
    validate_windows_options(&context.at("windowsOptions"), causes);
    validate_app_armor_profile_field(&context.at("appArmorProfile"), causes);
    validate_choice(&context.at("supplementalGroupsPolicy"), &["Merge", "Strict"], causes);
    validate_choice(&context.at("seLinuxChangePolicy"), &["MountOption", "Recursive"], causes);
}

/// A value that is one of `supported`, if there is one.
pub(crate) fn validate_choice(field: &At<'_>, supported: &[&str], causes: &mut Causes) {
    if let Some(text) = field.text_if_set().filter(|text| !supported.contains(text)) {
        causes.not_supported(field, text, supported);
    }
}

/// `validateSysctls`
fn validate_sysctls(spec: &At<'_>, sysctls: &At<'_>, causes: &mut Causes) {
    const EXPRESSION: &str = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let mut seen = BTreeSet::new();
    for name in sysctls.items().map(|sysctl| sysctl.at("name")) {
        let text = name.text();
        if text.is_empty() {
            causes.required(&name, "");
        } else if !is_sysctl_name(text) {
            let why = format!("must have at most 253 characters and match regex {EXPRESSION}");
            causes.invalid(&name, text, &why);
        } else if seen.contains(text) {
            causes.duplicate(&name, text);
        }
        // `ValidateHostSysctl`: those of a namespace that the Pod shares with its node.
        let dotted = dotted(text);
        if spec.at("hostNetwork").is_true() && dotted.starts_with("net.") {
            causes.invalid(&name, text, "may not be specified when 'hostNetwork' is true");
        } else if spec.at("hostIPC").is_true() && is_ipc(&dotted) {
            causes.invalid(&name, text, "may not be specified when 'hostIPC' is true");
        }
        seen.insert(text);
    }
}

/// `NormalizeName`: with dots for slashes, if a slash comes first.
fn dotted(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name.as_bytes()[first] == b'/' => name
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.into(),
    }
}

fn is_ipc(name: &str) -> bool {
    matches!(name, "kernel.sem" | "kernel.shm_rmid_forced")
        || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| name.starts_with(prefix))
}

fn is_sysctl_name(name: &str) -> bool {
    let is_outer = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.len() <= 253
        && name.split(['.', '/']).all(|part| names::is_word(part, is_outer, |b| matches!(b, b'-' | b'_')))
}

/// `validateSeccompProfileField`
fn validate_seccomp_profile_field(profile: &At<'_>, causes: &mut Causes) {
    if !profile.is_set() {
        return;
    }
    let (kind, local) = (profile.at("type"), profile.at("localhostProfile"));
    if kind.is_empty() {
        causes.required(&kind, "type is required when seccompProfile is set");
    } else if !PROFILES.contains(&kind.text()) {
        causes.not_supported(&kind, kind.text(), PROFILES);
    }
    match (kind.text() == "Localhost", local.is_set()) {
        (true, false) => causes.required(&local, "must be set when seccomp type is Localhost"),
        (true, true) => validate_local_descending_path(&local, causes),
        (false, true) => {
            let shown = schema::go_json("SeccompProfile", profile.value());
            causes.invalid(&local, shown, "can only be set when seccomp type is Localhost");
        }
        (false, false) => {}
    }
}

/// `ValidateAppArmorProfileField`
pub(crate) fn validate_app_armor_profile_field(profile: &At<'_>, causes: &mut Causes) {
    const MISSING: &str = "must be set when AppArmor type is Localhost";
    if !profile.is_set() {
        return;
    }
    let (kind, local) = (profile.at("type"), profile.at("localhostProfile"));
    match kind.text() {
        "Localhost" => {
            let Some(name) = local.text_if_set() else {
                causes.required(&local, MISSING);
                return;
            };
            if name.trim() != name {
                causes.invalid(&local, name, "must not be padded with whitespace");
            } else if name.is_empty() {
                causes.required(&local, MISSING);
            }
            if name.len() > 4095 {
                causes.too_long(&local, 4095);
            }
        }
        "RuntimeDefault" | "Unconfined" => {
            if let Some(name) = local.text_if_set() {
                causes.invalid(&local, name, "can only be set when AppArmor type is Localhost");
            }
        }
        "" => causes.required(&kind, "type is required when appArmorProfile is set"),
        other => causes.not_supported(&kind, other, PROFILES),
    }
}

/// `validateWindowsSecurityContextOptions`
fn validate_windows_options(options: &At<'_>, causes: &mut Causes) {
    let spec_name = options.at("gmsaCredentialSpecName");
    if spec_name.is_set() {
        names::check(&spec_name, names::dns_subdomain, causes);
    }
    let spec = options.at("gmsaCredentialSpec");
    match spec.text_if_set() {
        Some("") => causes.invalid(&spec, "", "gmsaCredentialSpec cannot be an empty string"),
        Some(text) if text.len() > 64 << 10 => {
            causes.invalid(&spec, text, "gmsaCredentialSpec size must be under 64 KiB");
        }
        _ => {}
    }
    let user = options.at("runAsUserName");
    if let Some(text) = user.text_if_set() {
        for why in windows_user_faults(text) {
            causes.invalid(&user, text, why);
        }
    }
}

fn windows_user_faults(name: &str) -> Vec<&'static str> {
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts[..] {
        _ if name.is_empty() => return vec!["runAsUserName cannot be an empty string"],
        _ if name.chars().any(|c| c.is_ascii_control()) => {
            return vec!["runAsUserName cannot contain control characters"];
        }
        [user] => (None, user),
        [domain, user] => (Some(domain), user),
        _ => return vec!["runAsUserName cannot contain more than one backslash"],
    };
    let mut faults = Vec::new();
    let mut check = |is_wrong: bool, why| {
        if is_wrong {
            faults.push(why);
        }
    };
    let domain_length = domain.map_or(0, str::len);
    check(domain_length >= 256, "runAsUserName's Domain length must be under 256 characters");
    let is_domain = domain.is_none_or(|domain| is_net_bios(domain) || is_windows_dns(domain));
    check(!is_domain, "runAsUserName's Domain doesn't match the NetBios nor the DNS format");
    if user.is_empty() {
        check(true, "runAsUserName's User cannot be empty");
    } else {
        check(user.len() > 104, "runAsUserName's User length must not be longer than 104 characters");
    }
    let only_dots = !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' '));
    check(only_dots, "runAsUserName's User cannot contain only periods or spaces");
    let has_bad =
        user.contains(['"', '/', '\\', ':', ';', '|', '=', ',', '+', '*', '?', '<', '>', '@', '[', ']']);
    check(has_bad, "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]");
    faults
}

fn is_net_bios(domain: &str) -> bool {
    let count = domain.chars().count();
    (1..=15).contains(&count)
        && !domain.starts_with('.')
        && !domain.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
}

fn is_windows_dns(domain: &str) -> bool {
    let is_outer = |b: u8| b.is_ascii_alphanumeric();
    domain.split('.').all(|label| label.len() <= 63 && names::is_word(label, is_outer, |b| b == b'-'))
}

/// `validateWindowsHostProcessPod`
pub(crate) fn validate_windows_host_process_pod(spec: &At<'_>, causes: &mut Causes) {
    let of_pod = spec.at("securityContext.windowsOptions.hostProcess").value().as_bool();
    let (mut count, mut host_processes) = (0, 0);
    for container in all_containers(spec) {
        count += 1;
        let field = container.at("securityContext.windowsOptions.hostProcess");
        let own = field.value().as_bool();
        if let (Some(pod), Some(own)) = (of_pod, own)
            && pod != own
        {
            let why = format!("pod hostProcess value must be identical if both are specified, was {pod}");
            causes.invalid(&field, own, &why);
        }
        host_processes += i32::from(own.or(of_pod) == Some(true));
    }
    if host_processes == 0 {
        return;
    }
    if host_processes != count {
        let why =
            "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        causes.invalid(spec, "", why);
    }
    if !spec.at("hostNetwork").is_true() {
        let why = "hostNetwork must be true if pod contains any hostProcess containers";
        causes.invalid(&spec.at("hostNetwork"), false, why);
    }
}

/// `validateHostUsers`: what a Pod with its own user namespace cannot share. Two of the paths begin with a capital letter.
pub(crate) fn validate_host_users(spec: &At<'_>, causes: &mut Causes) {
    if spec.at("hostUsers").value() != false {
        return;
    }
    for (field, path) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if spec.at(field).is_true() {
            causes.forbidden(&spec.at(path), "when `hostUsers` is false");
        }
    }
    for devices in all_containers(spec).map(|container| container.at("volumeDevices")) {
        if !devices.is_empty() {
            causes.forbidden(&devices, "when `hostUsers` is false");
        }
    }
}

/// The fields that a Pod for Windows cannot have, in the order of the messages.
const NOT_ON_WINDOWS: [&str; 15] = [
    "securityContext.appArmorProfile",
    "securityContext.seLinuxOptions",
    "hostUsers",
    "hostPID",
    "hostIPC",
    "securityContext.seccompProfile",
    "securityContext.fsGroup",
    "securityContext.fsGroupChangePolicy",
    "securityContext.sysctls",
    "shareProcessNamespace",
    "securityContext.runAsUser",
    "securityContext.runAsGroup",
    "securityContext.supplementalGroups",
    "securityContext.supplementalGroupsPolicy",
    "securityContext.seLinuxChangePolicy",
];
const NOT_IN_WINDOWS_CONTAINERS: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// `validateOS`, `validateLinux` and `validateWindows`.
pub(crate) fn validate_os(spec: &At<'_>, causes: &mut Causes) {
    let os = spec.at("os");
    if !os.is_set() {
        return;
    }
    match os.at("name").text() {
        "" => causes.required(&os.at("name"), ""),
        "linux" => {
            let contexts = std::iter::once(spec.clone()).chain(all_containers(spec));
            for options in contexts.map(|one| one.at("securityContext.windowsOptions")) {
                if options.is_set() {
                    causes.forbidden(&options, "windows options cannot be set for a linux pod");
                }
            }
        }
        "windows" => {
            const NO: &str = "cannot be set for a windows pod";
            for path in NOT_ON_WINDOWS {
                let field = spec.at(path);
                // These are no pointers: `false` and an empty list are as nothing.
                let is_off = matches!(path, "hostPID" | "hostIPC") && !field.is_true();
                let is_empty = path == "securityContext.sysctls" && field.is_empty();
                if field.is_set() && !is_off && !is_empty {
                    causes.forbidden(&field, NO);
                }
            }
            for context in all_containers(spec).map(|container| container.at("securityContext")) {
                for field in NOT_IN_WINDOWS_CONTAINERS.map(|path| context.at(path)) {
                    if field.is_set() {
                        causes.forbidden(&field, NO);
                    }
                }
            }
        }
        other => causes.not_supported(&os, Shown::from(other), &["linux", "windows"]),
    }
}

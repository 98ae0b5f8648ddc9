using System.Runtime.CompilerServices;

// The runtime honours this attribute by its name: members of the assembly named may be used whatever their visibility.
[assembly: IgnoresAccessChecksTo("Microsoft.ML.Core")]

#pragma warning disable IDE0130, IDE0161 // the namespace is the runtime's
namespace System.Runtime.CompilerServices
{
    [AttributeUsage(AttributeTargets.Assembly, AllowMultiple = true)]
    internal sealed class IgnoresAccessChecksToAttribute(string assemblyName) : Attribute
    {
        public string AssemblyName { get; } = assemblyName;
    }
}
